"""Releases swap under load: no request fails, and no response mixes two releases.

Starts the application on a store with one release of an invented plant. Under load in a closed loop it publishes more
releases one after another and rolls the last one back. Every passage of every release carries the release's edition,
so that whatever a response holds can be told from the same thing in another release. Checked for every response: the
status, that every piece of evidence is in the release that the response names, word for word, and, for some, that the
cited page opens and shows the cited words.

    python -m benchmarks.release_swap                                  60 s at concurrency 16, store in a folder
    AWS_ENDPOINT_URL=... python -m benchmarks.release_swap --store s3://bucket/prefix
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from benchmarks.application import application, without_model
from index_builder.build import build_release
from index_builder.encode import Encoders
from index_builder.settings import JobSettings, ModelSettings
from lineside.local import lineside_home
from lineside.releases import Catalogue, Release
from lineside.shards import Shard, ShardRef

FAMILIES = ("drive", "furnace", "pump")
QUESTIONS = (
    "How hot may the bearing of the {family} become?",
    "What torque do the coupling bolts of the {family} get?",
    "What does alarm {code} mean?",
    "How often is the {family} greased?",
)
MANUAL = """---
title: Manual of the {family}
family: {family}
---
# Manual of the {family}

## Bearing

The bearing of the {family} may reach {limit} °C according to edition {edition}. Stop the {family} above it.

## Coupling

The coupling bolts of the {family} are tightened to {limit} Nm according to edition {edition}.

## Alarms

| Code | Meaning in edition {edition} | Action in edition {edition} |
|---|---|---|
| {code} | The {family} is too hot | Reduce the load to {limit} % |

## Greasing

The {family} is greased every {limit} hours with grease of edition {edition}.
"""


@dataclass(frozen=True)
class Edition:
    """The shards of a release that can be published, and the text of every row in them."""

    shards: list[tuple[str, ShardRef]]
    texts: dict[str, str]


@dataclass
class Counts:
    """What happened under load."""

    seconds: float = 0.0
    requests: int = 0
    failed: list[str] = field(default_factory=list)
    mixed: list[str] = field(default_factory=list)
    evidence_checked: int = 0
    citations_opened: int = 0
    responses_by_release: Counter[int] = field(default_factory=Counter)
    seconds_until_served: dict[str, float] = field(default_factory=dict)
    slowest_ms: float = 0.0

    @property
    def passed(self) -> bool:
        return not self.failed and not self.mixed and bool(self.requests)

    def as_json(self, store: str) -> str:
        """The figures, whether they pass, and the store; not by `asdict`, which cannot copy a `Counter`."""
        return json.dumps(vars(self) | {"passed": self.passed, "store": store}, indent=2)


def build_editions(folder: Path, models: Path, count: int) -> tuple[list[Edition], dict[str, str]]:
    """Editions 1 to `count` as shards below `folder`, and the fingerprints of what made them."""
    text, joint = (ModelSettings(folder=models / name) for name in ("minilm", "joint-demo"))
    encoders = Encoders(JobSettings(source=str(folder), store=str(folder), text=text, joint=joint))  # loaded once
    editions: list[Edition] = []
    fingerprints: dict[str, str] = {}
    for number in range(1, count + 1):
        source = folder / f"source-{number}"
        for place, family in enumerate(FAMILIES):
            (source / family).mkdir(parents=True)
            values = {"family": family, "edition": number, "limit": 70 + 10 * number + place, "code": _code(family)}
            (source / family / "manual.md").write_text(MANUAL.format(**values), encoding="utf-8")
        catalogue = Catalogue(folder / f"edition-{number}")
        release = build_release(source, catalogue, text, joint, encoders=encoders, isolated=False).release
        fingerprints = release.fingerprints
        shards = [(e.family, ShardRef(e.id, catalogue.shards_root / e.id)) for e in release.shards]
        editions.append(Edition(shards, _texts(ref for _, ref in shards)))
    seen = Counter(text for edition in editions for text in set(edition.texts.values()))
    shared = [text for text, times in seen.items() if times > 1]
    if shared:
        raise RuntimeError(f"editions share a passage, so a mix could go unseen: {shared[0]!r}")
    return editions, fingerprints


def publish(catalogue: Catalogue, edition: Edition, fingerprints: dict[str, str], **options: Any) -> Release:
    return catalogue.publish(edition.shards, fingerprints=fingerprints, **options)


async def swap_under_load(
    url: str,
    catalogue: Catalogue,
    editions: list[Edition],
    fingerprints: dict[str, str],
    *,
    seconds: float,
    concurrency: int,
) -> Counts:
    """Release 1 is `editions[0]` and served already; the others are published during the load, the last rolled back."""
    counts, released = Counts(), {catalogue.current().number: editions[0]}
    seen, known = asyncio.Condition(), asyncio.Condition()
    stop = asyncio.Event()

    async def ask(worker: int, client: httpx.AsyncClient) -> None:
        number = worker
        while not stop.is_set():
            family = FAMILIES[number % len(FAMILIES)]
            body: dict[str, Any] = {
                "question": QUESTIONS[number % len(QUESTIONS)].format(family=family, code=_code(family)),
                "family": family if number % 2 else None,
                "deadline_ms": 20_000,
            }
            path = "/v1/retrieve" if number % 4 == 3 else "/v1/answer"
            if path == "/v1/answer":
                body["mode"] = "extract"
            number += concurrency + 1
            reply = await _request(client, counts, "POST", path, body)
            if reply is None:
                continue
            release = reply["release"]
            counts.responses_by_release[release] += 1
            async with known:  # the first response from a release may be faster than the publisher's own return
                await known.wait_for(lambda release=release: release in released)  # type: ignore[misc]
            _check(reply, released[release], counts)
            async with seen:
                seen.notify_all()
            if number % 5 == 0:
                await _open_citation(client, reply["evidence"][0], counts)

    async def served(release: int, started: float, what: str) -> None:
        before = counts.responses_by_release[release]
        async with seen:
            await seen.wait_for(lambda: counts.responses_by_release[release] > before)
        counts.seconds_until_served[what] = round(time.monotonic() - started, 2)

    async def operate() -> None:
        """Publishes and rolls back at even intervals; then leaves the load on for one more."""
        interval = seconds / (len(editions) + 1)
        for edition in editions[1:]:
            await asyncio.sleep(interval)
            started = time.monotonic()
            release = await asyncio.to_thread(publish, catalogue, edition, fingerprints)
            async with known:
                released[release.number] = edition
                known.notify_all()
            await asyncio.wait_for(served(release.number, started, f"release {release.number}"), 60)
        await asyncio.sleep(interval)
        started = time.monotonic()
        release = await asyncio.to_thread(catalogue.rollback, why="the benchmark's last step")
        await asyncio.wait_for(served(release.number, started, f"rollback to {release.number}"), 60)
        await asyncio.sleep(interval)

    began = time.monotonic()
    limits = httpx.Limits(max_connections=1, max_keepalive_connections=1)
    clients = [httpx.AsyncClient(base_url=url, timeout=30, limits=limits, trust_env=False) for _ in range(concurrency)]
    try:
        asking = [asyncio.create_task(ask(worker, client)) for worker, client in enumerate(clients)]
        await operate()
        stop.set()
        await asyncio.gather(*asking)
    finally:
        stop.set()
        for client in clients:
            await client.aclose()
    counts.seconds = time.monotonic() - began
    return counts


async def _request(
    client: httpx.AsyncClient, counts: Counts, method: str, path: str, body: dict[str, Any] | None = None
) -> dict[str, Any] | None:
    started = time.monotonic()
    counts.requests += 1
    try:
        reply = await client.request(method, path, json=body, headers={"accept": "application/json"})
    except httpx.HTTPError as error:
        counts.failed.append(f"{path}: {type(error).__name__}: {error}")
        return None
    counts.slowest_ms = max(counts.slowest_ms, (time.monotonic() - started) * 1000)
    if reply.status_code != 200:
        counts.failed.append(f"{path}: {reply.status_code} {reply.text[:200]}")
        return None
    found: dict[str, Any] = reply.json()
    return found


def _check(reply: dict[str, Any], edition: Edition, counts: Counts) -> None:
    """Every piece of evidence, and with it every quotation, is in the edition that was published as that release."""
    texts = {}
    for evidence in reply["evidence"]:
        counts.evidence_checked += 1
        texts[evidence["n"]] = evidence["text"]
        if edition.texts.get(evidence["id"]) != evidence["text"]:
            counts.mixed.append(f"release {reply['release']}: evidence {evidence['id']}: {evidence['text'][:80]!r}")
    counts.mixed.extend(
        f"release {reply['release']}: quote {citation['quote']!r}"
        for sentence in reply.get("sentences", ())
        for citation in sentence["citations"]
        if citation["quote"] not in texts[citation["n"]]
    )


async def _open_citation(client: httpx.AsyncClient, evidence: dict[str, Any], counts: Counts) -> None:
    view = await _request(client, counts, "GET", evidence["url"])
    if view is None:
        return
    counts.citations_opened += 1
    first, last = view["mark"] or (0, 0)
    if view["text"][first:last] != evidence["text"]:
        counts.mixed.append(f"{evidence['url']} shows {view['text'][first:last][:80]!r}")


def _code(family: str) -> str:
    return f"{family[:3].upper()}-101"


def _texts(references: Any) -> dict[str, str]:
    found: dict[str, str] = {}
    for reference in references:
        rows = Shard.open(reference.path).rows.select(["id", "text"])
        found |= dict(zip(rows.column("id").to_pylist(), rows.column("text").to_pylist(), strict=True))
    return found


def main() -> int:
    """Exit status 1 where a request failed or a response mixed releases."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--home", type=Path, default=lineside_home(), help="folder with models/")
    parser.add_argument("--store", help="empty folder or s3://bucket/prefix; a temporary folder by default")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--concurrency", type=int, default=16)
    parser.add_argument("--swaps", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="lineside-swap-") as scratch:
        folder = Path(scratch)
        editions, fingerprints = build_editions(folder, options.home / "models", options.swaps + 1)
        catalogue = Catalogue(options.store or folder / "store")
        publish(catalogue, editions[0], fingerprints, base=None)
        service, url = application(
            folder, without_model(folder, options.home, catalogue.store.url), name="release-swap"
        )
        with service:
            counts = asyncio.run(
                swap_under_load(
                    url, catalogue, editions, fingerprints, seconds=options.seconds, concurrency=options.concurrency
                )
            )
    if options.json:
        print(counts.as_json(catalogue.store.url))
    else:
        print(_report(counts, options, catalogue.store.url))
    return 0 if counts.passed else 1


def _report(counts: Counts, options: argparse.Namespace, store: str) -> str:
    by_release = ", ".join(f"{n}: {count}" for n, count in sorted(counts.responses_by_release.items()))
    waits = ", ".join(f"{what} {waited:.1f} s" for what, waited in counts.seconds_until_served.items())
    lines = [
        f"{counts.seconds:.0f} s at concurrency {options.concurrency} on {os.cpu_count()} cores, store {store}",
        f"requests                   {counts.requests} ({counts.requests / counts.seconds:.0f}/s, slowest "
        f"{counts.slowest_ms:.0f} ms)",
        f"failed                     {len(counts.failed)}",
        f"mixing releases            {len(counts.mixed)}  (of {counts.evidence_checked} pieces of evidence and "
        f"{counts.citations_opened} opened citations)",
        f"responses by release       {by_release}",
        f"publishing to first answer {waits}",
    ]
    return "\n".join([*lines, *counts.failed[:5], *counts.mixed[:5]])


if __name__ == "__main__":
    sys.exit(main())
