"""Measures the re-index job: from a real S3 server, in full, after a change, and killed at random moments.

    python -m benchmarks.reindex --data ../shared/data --sources linuxcnc,marlin,pdf,demo --kills 5

The encoders' stage is compared with a plain loop in one process over a sample of the same texts, two threads, no Ray.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import boto3

from benchmarks.machine import describe_machine
from index_builder.parsed import read_content, texts_of
from index_builder.settings import JobSettings, ModelSettings
from index_builder.work import WorkArea
from lineside.encoders import Runtime, load_joint_encoder, load_text_encoder
from lineside.objects import open_store
from lineside.releases import Catalogue
from lineside.runs import Run, runs

SOURCES = "linuxcnc,marlin,pdf,demo"
_TEXTUAL = (".md", ".adoc", ".html", ".txt")


def source_folders(names: Sequence[str], data: Path, home: Path) -> dict[str, Path]:
    """Where each source lies: the demo plant's below `home`, manuals below `data`."""
    return {name: home / "demo" / "source" if name == "demo" else data / name for name in names}


@contextmanager
def s3_server(folder: Path) -> Iterator[str]:
    """A moto server on a free port of loopback; its URL is in the environment meanwhile."""
    log = folder / "s3.log"
    with log.open("wb") as stream:
        command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", "0"]
        process = subprocess.Popen(command, stdout=stream, stderr=stream, cwd=folder)
    try:
        until = time.monotonic() + 60
        while not (found := re.search(r"Running on (http://127\.0\.0\.1:\d+)", log.read_text())):
            if process.poll() is not None or time.monotonic() > until:
                raise RuntimeError(f"the S3 server did not start:\n{log.read_text()}")
            time.sleep(0.05)
        os.environ |= {
            "AWS_ENDPOINT_URL": found[1],
            "AWS_ACCESS_KEY_ID": "bench",
            "AWS_SECRET_ACCESS_KEY": "bench",
            "AWS_REGION": "us-east-1",
            "NO_PROXY": "127.0.0.1,localhost",
        }
        yield found[1]
    finally:
        process.kill()
        process.wait()


class Site:
    """A bucket with a source and a store."""

    def __init__(self, models: Path, work: Path) -> None:
        self.bucket = "lineside-bench"
        self.source, self.store = f"s3://{self.bucket}/source", f"s3://{self.bucket}/store"
        self.models, self.work = models, work
        self._s3 = boto3.client("s3", endpoint_url=os.environ["AWS_ENDPOINT_URL"], region_name="us-east-1")
        self._s3.create_bucket(Bucket=self.bucket)
        self.files: dict[str, Path] = {}

    def fill(self, folders: dict[str, Path]) -> None:
        for name, folder in folders.items():
            for path in sorted(p for p in folder.rglob("*") if p.is_file()):
                relative = path.relative_to(folder).as_posix()
                key = relative if name == "demo" else f"{name}/{relative}"
                self.files[key] = path
                self.put(key, path.read_bytes())

    def put(self, key: str, data: bytes) -> None:
        self._s3.put_object(Bucket=self.bucket, Key=f"source/{key}", Body=data)

    def start(self) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "index_builder.command", self.source, "--store", self.store, "--json"]
        command += ["--text-model", str(self.models / "minilm"), "--joint-model", str(self.models / "joint-demo")]
        with (self.work / "job.log").open("a") as log:
            environment = {**os.environ, "RAY_ADDRESS": ""}
            return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=log, text=True)

    def run(self) -> tuple[Run, float]:
        """The run's record and its wall time, start of Ray included."""
        started = time.monotonic()
        out, _ = (process := self.start()).communicate()
        if process.returncode:
            raise RuntimeError((self.work / "job.log").read_text()[-2000:])
        return Run.model_validate_json(out), time.monotonic() - started

    def shards(self) -> dict[str, str]:
        return {shard.family: shard.id for shard in Catalogue(self.store).current().shards}

    def settings(self) -> JobSettings:
        text, joint = (ModelSettings(folder=self.models / name) for name in ("minilm", "joint-demo"))
        return JobSettings(source=self.source, store=self.store, text=text, joint=joint)

    def stored_vectors(self) -> tuple[int, int]:
        """(vectors in the store, distinct ones)."""
        work = WorkArea(self.settings(), self.source)
        work.refresh_vectors()
        total = distinct = 0
        for space in work.spaces.values():
            keys = [k for t in space.segments.tables(space.names).values() for k in t.column("key").to_pylist()]
            total, distinct = total + len(keys), distinct + len(set(keys))
        return total, distinct


def plain_rate(site: Site, sample: int, threads: int) -> dict[str, float]:
    """Texts a second of one process that encodes a random sample of the source's texts, sorted by length."""
    work = WorkArea(site.settings(), site.source)
    texts: dict[bytes, str] = {}
    joint: dict[bytes, str] = {}
    for table in work.parsed.tables(work.parsed.names()).values():
        for row in table.to_pylist():
            if row["error"] is None:
                found = texts_of(read_content(row["content"], row["images"], row["thumbnails"]))
                texts |= found.text
                joint |= found.joint
    runtime = Runtime(threads=threads)
    encoder = load_text_encoder(site.models / "minilm", runtime=runtime)
    tower = load_joint_encoder(site.models / "joint-demo", runtime=runtime)
    encoder.encode(["warm"] * 32)
    tower.encode_texts(["warm"] * 32)
    share = min(1.0, sample / (len(texts) + len(joint)))
    chosen = random.Random(1)
    first = chosen.sample(sorted(texts.values()), int(share * len(texts)))
    second = chosen.sample(sorted(joint.values()), int(share * len(joint)))
    started = time.perf_counter()
    encoder.encode(first)
    tower.encode_texts(second)
    seconds = time.perf_counter() - started
    return {"texts": len(first) + len(second), "seconds": seconds, "per_s": (len(first) + len(second)) / seconds}


def change(site: Site, share: float) -> int:
    """Adds a sentence to some of the documents; returns how many."""
    textual = [key for key in sorted(site.files) if key.endswith(_TEXTUAL)]
    count = max(1, round(share * len(site.files)))
    # Neighbours, as a person edits them: one folder's manuals, not one of every family.
    first = random.Random(2).randrange(max(1, len(textual) - count))
    for key in textual[first : first + count]:
        site.put(key, site.files[key].read_bytes() + b"\n\nThis sentence was added by the benchmark.\n")
    return count


def kill_at_random(site: Site, kills: int, longest_s: float) -> dict[str, Any]:
    """Kills runs of a fresh store at random moments, then lets one end.

    A run goes on where the one before was killed, so all of them together get about as long as one undisturbed run:
    with longer ones the first would do the work, and the rest would have ended before they are killed.
    """
    store, reached = open_store(site.store), []
    each_s = longest_s * min(1.0, 2 / kills)
    site.store = f"s3://{site.bucket}/killed"
    chosen = random.Random(3)
    for _ in range(kills):
        process = site.start()
        try:
            process.wait(chosen.uniform(0.1, 0.9) * each_s)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.wait()
        latest = runs(open_store(site.store), 1)
        reached.append(f"{latest[0].state} {latest[0].stage.done}/{latest[0].stage.total}" if latest else "starting")
    run, seconds = site.run()
    total, distinct = site.stored_vectors()
    killed = site.shards()
    site.store = store.url
    return {
        "killed_while": reached,
        "last_run_s": round(seconds, 1),
        "last_run_encoded": run.counts.vectors_made,
        "vectors": total,
        "distinct": distinct,
        "same_shards_as_undisturbed": killed == site.shards(),
    }


def main() -> int:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--sources", default=SOURCES)
    parser.add_argument("--sample", type=int, default=4_000, help="texts of the plain loop")
    parser.add_argument("--share", type=float, default=0.01, help="files that are changed")
    parser.add_argument("--kills", type=int, default=0)
    parser.add_argument("--out", type=Path, help="write the figures there as JSON")
    options = parser.parse_args()
    home = Path(os.environ.get("LINESIDE_HOME") or ".lineside").absolute()
    named = options.sources.split(",")
    folders = source_folders(named, options.data, home)
    absent = [str(folder) for folder in folders.values() if not folder.is_dir()]
    if absent:
        print(f"error: {', '.join(absent)} not there", file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory() as temporary, s3_server(Path(temporary)):
        site = Site(home / "models", Path(temporary))
        site.fill(folders)
        figures: dict[str, Any] = {"machine": describe_machine(), "sources": named}
        full, wall = site.run()
        before = site.shards()
        work_s = full.seconds["embedding"] - full.seconds.get("loading_models", 0.0)
        rate = full.counts.vectors_made / max(0.001, work_s)
        figures["full"] = {"wall_s": round(wall, 1), "seconds": full.seconds, "counts": full.counts.model_dump()}
        figures["embedding_per_s"] = round(rate, 1)
        print(json.dumps(figures, indent=1), flush=True)
        plain = plain_rate(site, options.sample, os.cpu_count() or 1)
        figures["plain_loop"] = {name: round(value, 1) for name, value in plain.items()}
        figures["of_plain_loop"] = round(rate / plain["per_s"], 3)
        changed = change(site, options.share)
        small, small_wall = site.run()
        kept = [family for family, shard in site.shards().items() if before.get(family) == shard]
        figures["changed"] = {
            "files": changed,
            "wall_s": round(small_wall, 1),
            "of_full_wall": round(small_wall / wall, 3),
            "seconds": small.seconds,
            "encoded": small.counts.vectors_made,
            "of_full_encoded": round(small.counts.vectors_made / max(1, full.counts.vectors_made), 4),
            "shards_built": small.counts.shards_built,
            "shards_kept": small.counts.shards_kept,
            "families_with_the_same_shard": len(kept),
        }
        if options.kills:
            figures["killed"] = kill_at_random(site, options.kills, wall)
        print(json.dumps(figures, indent=1))
        print(f"store served from {urlsplit(os.environ['AWS_ENDPOINT_URL']).netloc} (moto)")
    if options.out:
        options.out.write_text(json.dumps(figures, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
