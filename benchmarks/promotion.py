"""From promotion to the first answer, in a service that runs all along: `python -m benchmarks.promotion`.

An S3 server holds the sources (real manuals and the demo plant) and a store whose release 1 is the demo plant's alone.
`lineside serve` starts on that release. While its clients ask on, `lineside reindex` reads the sources and promotes
what it built; then the release is rolled back and activated again. Clocked is, for each question, the time from the
move of the `current` pointer to the end of the first right answer from the release that it names: right is a complete
answer which cites the page that must be cited. Every request of the whole time counts, and none may fail.

Exit status 1 where a request failed, or an answer took longer than `--bar` seconds to come.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np

from benchmarks.application import application, without_model
from benchmarks.machine import describe_machine
from benchmarks.reindex import SOURCES, Site, s3_server, source_folders
from lineside.client import Client
from lineside.errors import LinesideError
from lineside.local import lineside_home
from lineside.releases import Catalogue
from lineside.schema import Answer
from lineside.shards import ShardRef

_LOOK_S: Final = 0.05
_PAUSE_S: Final = 0.2
_WITHIN_S: Final = 120.0


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked again and again, and the source that a right answer cites."""

    text: str
    source: str


NEW: Final = (
    Question("What does G64 do in LinuxCNC?", "linuxcnc/gcode/g-code.adoc"),
    Question("What does M104 do in Marlin?", "marlin/_gcode/M104.md"),
)
KNOWN: Final = Question("What does alarm HYD-A14 mean?", "hydraulics/hydraulics-station-manual.html")


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer: when it had come (monotonic seconds), how long it took, from which release, and whether right."""

    at: float
    ms: float
    release: int
    right: bool


@dataclass
class Asked:
    """What the clients of one question saw."""

    replies: list[Reply] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)

    def first_from(self, release: int, after: float, *, right: bool) -> Reply | None:
        """The first reply after that moment from the release, right or any."""
        return next((r for r in self.replies if r.at > after and r.release == release and (r.right or not right)), None)


class Panel:
    """A client that asks one question after another's answer until it is stopped."""

    def __init__(self, url: str, question: Question) -> None:
        self.question, self.asked = question, Asked()
        self._url, self._stop = url, threading.Event()
        self._thread = threading.Thread(target=self._ask, daemon=True)

    def __enter__(self) -> Panel:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _ask(self) -> None:
        with Client(self._url) as client:
            while not self._stop.wait(_PAUSE_S):
                began = time.monotonic()
                try:
                    answer = client.answer(self.question.text, mode="extract")
                except LinesideError as error:
                    self.asked.failed.append(f"{self.question.text}: {error}")
                    continue
                now = time.monotonic()
                self.asked.replies.append(
                    Reply(now, (now - began) * 1000, answer.release, is_right(answer, self.question))
                )


class Pointer:
    """Watches what is current; `moved` is the last moment at which it was still another release."""

    def __init__(self, catalogue: Catalogue) -> None:
        self.moved: dict[int, float] = {}
        self.current = catalogue.pointer().release
        self._catalogue, self._stop = catalogue, threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Pointer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        before = time.monotonic()
        while not self._stop.wait(_LOOK_S):
            looked = time.monotonic()
            found = self._catalogue.pointer().release
            if found != self.current:
                self.moved[found], self.current = before, found
            before = looked


def is_right(answer: Answer, question: Question) -> bool:
    """Complete, and a sentence of it cites the source."""
    cited = {citation.n for sentence in answer.sentences for citation in sentence.citations}
    return answer.status == "complete" and any(e.n in cited and e.source == question.source for e in answer.evidence)


def publish_demo(home: Path, catalogue: Catalogue) -> int:
    """The demo plant's release, copied from the folder where set-up built it; its number."""
    built = Catalogue(home / "store")
    release = built.current()
    shards = [(shard.family, ShardRef(shard.id, built.shards_root / shard.id)) for shard in release.shards]
    return catalogue.publish(shards, fingerprints=release.fingerprints, base=None).number


def seconds_until_right(
    panels: Sequence[Panel], pointer: Pointer, release: int, *, right: bool = True
) -> dict[str, float | None]:
    """Waits for every panel's first answer from the release; seconds from the pointer's move to it."""
    until = time.monotonic() + _WITHIN_S
    while True:
        moved = pointer.moved.get(release)
        found = [None if moved is None else p.asked.first_from(release, moved, right=right) for p in panels]
        if all(found) or time.monotonic() > until:
            return {
                panel.question.text: None if reply is None or moved is None else round(reply.at - moved, 2)
                for panel, reply in zip(panels, found, strict=True)
            }
        time.sleep(_LOOK_S)


def measure(site: Site, url: str, first: int) -> dict[str, Any]:
    """Everything with the service up: the job beside it, promotion, the way back and forth again."""
    catalogue = Catalogue(site.store)
    figures: dict[str, Any] = {}
    with ExitStack() as stack:
        pointer = stack.enter_context(Pointer(catalogue))
        panels = [stack.enter_context(Panel(url, question)) for question in (*NEW, KNOWN)]
        time.sleep(10)
        job_began = time.monotonic()
        run, wall = site.run()
        if run.release is None:
            raise RuntimeError(f"the job published nothing: {run.message}")
        figures["job"] = {
            "wall_s": round(wall, 1),
            "seconds": run.seconds,
            "counts": run.counts.model_dump(),
            "errors": run.errors,
        }
        waits = {"promotion": seconds_until_right(panels, pointer, run.release)}
        promoted = pointer.moved[run.release]
        time.sleep(5)
        catalogue.rollback(why="the benchmark's way back")
        waits["rollback"] = seconds_until_right(panels, pointer, first, right=False)
        time.sleep(5)
        pointer.moved.pop(run.release)
        catalogue.activate(run.release, why="the benchmark's way forward")
        waits["activated again"] = seconds_until_right(panels, pointer, run.release)
        time.sleep(5)
    replies = [reply for panel in panels for reply in panel.asked.replies]
    spans = {"before": (0.0, job_began), "job": (job_began, promoted), "after": (promoted, time.monotonic())}
    figures["seconds_until_answered"] = waits
    figures["requests"] = {
        name: _times([r.ms for r in replies if first_s < r.at <= last_s]) for name, (first_s, last_s) in spans.items()
    }
    figures["failed"] = [failure for panel in panels for failure in panel.asked.failed]
    figures["releases_seen"] = sorted({reply.release for reply in replies})
    return figures


def _times(milliseconds: list[float]) -> dict[str, float]:
    if not milliseconds:
        return {"count": 0}
    p50, p99 = np.quantile(milliseconds, (0.5, 0.99))
    return {
        "count": len(milliseconds),
        "p50_ms": round(float(p50), 1),
        "p99_ms": round(float(p99), 1),
        "max_ms": round(max(milliseconds), 1),
    }


def main() -> int:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), help="folder with the manuals")
    parser.add_argument("--sources", default=SOURCES, help="must hold linuxcnc, marlin and demo")
    parser.add_argument("--home", type=Path, default=lineside_home(), help="folder with models/, store/ and demo/")
    parser.add_argument("--bar", type=float, default=10.0, help="seconds from promotion to the first right answer")
    parser.add_argument("--out", type=Path, help="write the figures there as JSON")
    options = parser.parse_args()
    folders = source_folders(options.sources.split(","), options.data, options.home)
    if absent := [str(folder) for folder in folders.values() if not folder.is_dir()]:
        print(f"error: {', '.join(absent)} not there", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory(prefix="lineside-promotion-") as scratch, s3_server(Path(scratch)):
        folder = Path(scratch)
        site = Site(options.home / "models", folder)
        site.fill(folders)
        first = publish_demo(options.home, Catalogue(site.store))
        service, url = application(folder, without_model(folder, options.home, site.store), name="promotion")
        with service:
            figures = {"machine": describe_machine(), "sources": list(folders)} | measure(site, url, first)
    waited = [s for waits in figures["seconds_until_answered"].values() for s in waits.values()]
    passed = not figures["failed"] and all(s is not None and s <= options.bar for s in waited)
    text = json.dumps(figures | {"passed": passed}, indent=1)
    print(text)
    if options.out:
        options.out.write_text(text + "\n", encoding="utf-8")
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
