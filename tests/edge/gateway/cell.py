"""A plant's cell for tests: keys, a store in a folder, knowledge of real encoders, gateways as real processes."""

from __future__ import annotations

import base64
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import yaml

from demo.ports import free_port
from edge.pieces import GatewayIdentity
from edge.trust import ceremony
from edge.trust.keyring import Keyring
from edge.trust.publishing import Published, publish_release
from edge.trust.records import Recipient, Recipients
from edge.trust.repository import TrustRepository
from lineside.encoders import load_joint_encoder, load_text_encoder, read_image
from lineside.encoders.images import ImageLimits
from lineside.objects import FolderStore
from lineside.shards import ShardVectors, encoder_text, sentence_spans, write_shard
from tests.shards.knowledge import Knowledge, drive, manual, pump

QUESTION = "To what torque are the coupling bolts of the pump tightened?"
WITHIN_S = 120.0


class Cell:
    """Publishes releases for the gateways `cell-1` and `cell-2`, and starts them."""

    def __init__(self, root: Path, encoders: Path) -> None:
        self.root, self.encoders = root, encoders
        self.store = root / "store"
        self._keyring = Keyring.create(root / "keys")
        ceremony.initialise(self._keyring)
        self.identities = {name: GatewayIdentity(name, name.encode().ljust(32)) for name in ("cell-1", "cell-2")}
        self._text, self._joint = load_text_encoder(encoders), load_joint_encoder(encoders)
        self._releases = 0

    def publish(self, torque: str, *, fingerprint: str | None = None, **options: object) -> Published:
        """A release whose pump manual names a torque; with `fingerprint` it claims another text encoder."""
        self._releases += 1
        document, passages = manual(
            "pump",
            "coupling-manual",
            {"Coupling": f"The coupling bolts of the pump are tightened to {torque}."},
        )
        known = pump()
        changed = replace(known, documents=(*known.documents, document), passages=(*known.passages, *passages))
        return publish_release(
            TrustRepository(FolderStore(self.store), self._keyring),
            {"drive": self._shard(drive(), fingerprint), "pump": self._shard(changed, fingerprint)},
            Recipients(gateways={name: Recipient(public_key=i.public_key) for name, i in self.identities.items()}),
            release=self._releases,
            **options,  # type: ignore[arg-type]
        )

    def settings(self, name: str = "cell-1", **sections: object) -> Path:
        """Writes `gateway.yaml` of a gateway."""
        folder = self.root / name
        folder.mkdir(exist_ok=True)
        (folder / "gateway.key").write_bytes(base64.b64encode(name.encode().ljust(32)))
        path = folder / "gateway.yaml"
        path.write_text(
            yaml.safe_dump(
                {
                    "gateway": name,
                    "store": str(self.store),
                    "state": "state",
                    "root": str(self.root / "keys" / "metadata" / "1.root.json"),
                    "key": "env:GATEWAY_KEY",
                    "link_share": 1.0,
                    "poll_s": 0.5,
                    "backoff_max_s": 1.0,
                    "encoders": {"text": str(self.encoders), "joint": str(self.encoders)},
                    "http": {"port": free_port()},
                    **sections,
                }
            )
        )
        return path

    @contextmanager
    def running(self, settings: Path) -> Iterator[GatewayProcess]:
        process = GatewayProcess(settings)
        try:
            yield process
        finally:
            process.end()

    def _shard(self, knowledge: Knowledge, fingerprint: str | None) -> Path:
        items = (*knowledge.passages, *knowledge.figures, *knowledge.frames)
        texts = [encoder_text(item) for item in items]
        images = [getattr(item, "image", None) for item in items]
        joint = self._joint.encode_texts(texts)
        for place, image in enumerate(images):
            if image is not None:
                joint[place] = self._joint.encode_images([read_image(image, ImageLimits())])[0]
        spans = sentence_spans(knowledge.passages)
        sentences = [knowledge.passages[s.passage].text[s.start : s.end] for s in spans]
        vectors = ShardVectors(
            self._text.encode(texts),
            self._text.encode(sentences),
            joint,
            np.arange(len(items), dtype=np.int32),
            self._text.encode([question.text for question in knowledge.known]) if knowledge.known else None,
        )
        fingerprints = {"text": fingerprint or self._text.fingerprint, "joint": self._joint.fingerprint, "chunker": "x"}
        arguments = knowledge.arguments() | {"vectors": vectors, "fingerprints": fingerprints}
        return write_shard(self.root / "shards", **arguments).path  # type: ignore[arg-type]


class GatewayProcess:
    """`lineside edge run` in a process of its own."""

    def __init__(self, settings: Path) -> None:
        written = yaml.safe_load(settings.read_text())
        self.url = f"http://127.0.0.1:{written['http']['port']}"
        self.log = settings.parent / "log"
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "lineside.cli", "edge", "run", str(settings)],
                stdout=log,
                stderr=log,
                env={**os.environ, "GATEWAY_KEY": (settings.parent / "gateway.key").read_text()},
            )

    def get(self, path: str) -> httpx.Response:
        return httpx.get(self.url + path, timeout=30, trust_env=False)

    def status(self) -> dict[str, Any]:
        reply: dict[str, Any] = self.get("/v1/status").json()
        return reply

    def ask(self, question: str = QUESTION, **fields: object) -> dict[str, Any]:
        body = {"question": question, "mode": "extract", **fields}
        reply = httpx.post(f"{self.url}/v1/answer", json=body, timeout=30, trust_env=False)
        assert reply.status_code == 200, reply.text
        answer: dict[str, Any] = reply.json()
        return answer

    def until_up(self) -> GatewayProcess:
        """Until it takes requests, whether it can answer them or not."""
        wait_for(lambda: self._reply("/healthz") is not None, self.log)
        return self

    def until_serving(self, release: int) -> GatewayProcess:
        wait_for(lambda: (self._reply("/readyz") or {}).get("release") == release, self.log)
        return self

    def until_event(self, event: str) -> None:
        wait_for(lambda: event in self.events(), self.log)

    def events(self) -> list[str]:
        """Names of what was logged, in order."""
        lines = [line for line in self.log.read_text().splitlines() if line.startswith("{")]
        return [json.loads(line)["event"] for line in lines]

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def end(self) -> int:
        """As the system ends it; the exit status."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.kill()
        return self.process.returncode

    def _reply(self, path: str) -> dict[str, Any] | None:
        assert self.process.poll() is None, self.log.read_text()
        try:
            reply = self.get(path)
        except httpx.TransportError:
            return None
        return reply.json() if reply.status_code == 200 else None


def wait_for(true: Any, log: Path) -> None:
    until = time.monotonic() + WITHIN_S
    while not true():
        assert time.monotonic() < until, log.read_text()
        time.sleep(0.1)
