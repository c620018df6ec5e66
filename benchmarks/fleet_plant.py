"""An invented plant for `benchmarks.fleet`: keys, small real shards, a fleet of gateways, and its publisher."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from edge.fleet.placement import Placement, place, recipients
from edge.fleet.settings import Camera, Family, FleetGateway, FleetSettings, ReportsSettings, RolloutSettings
from edge.pieces import GatewayIdentity
from edge.trust import ceremony
from edge.trust.keyring import Keyring
from edge.trust.publishing import Published, publish_release
from edge.trust.repository import TrustRepository
from lineside.documents import Document, Page, Passage, Section, passage_id
from lineside.objects import open_store
from lineside.shards import ShardVectors, encoder_text, sentence_spans, write_shard

_DIMENSION = 32
_CELL = 2
_FAMILIES_A_CELL = 4


@dataclass
class Plant:
    """`gateways` gateways, two a cell; every cell has cameras of four of the families."""

    root: Path
    gateways: int
    families: int
    passages: int
    rollout: RolloutSettings
    keyring: Keyring = field(init=False)
    identities: dict[str, GatewayIdentity] = field(init=False)
    fleet: FleetSettings = field(init=False)
    placement: Placement = field(init=False)
    shards: dict[str, Path] = field(init=False)
    releases: int = 0

    def __post_init__(self) -> None:
        self.keyring = Keyring.create(self.root / "keys")
        ceremony.initialise(self.keyring)
        names = [f"gateway-{number:05d}" for number in range(self.gateways)]
        self.identities = {name: GatewayIdentity(name, hashlib.sha256(name.encode()).digest()) for name in names}
        families = [f"family-{number:03d}" for number in range(self.families)]
        rng = np.random.default_rng(7)
        cells = sorted({self.cell(number) for number in range(self.gateways)})
        cameras = {
            f"{cell}-{family}": Camera(cell=cell, family=family)
            for cell in cells
            for family in rng.choice(families, min(_FAMILIES_A_CELL, len(families)), replace=False)
        }
        self.fleet = FleetSettings(
            gateways={
                name: FleetGateway(
                    public_key=identity.public_key,
                    report_key=identity.report_key,
                    cell=self.cell(number),
                    url=f"https://{name}",
                )
                for number, (name, identity) in enumerate(self.identities.items())
            },
            cameras=cameras,
            families={family: Family() for family in families},
            rollout=self.rollout,
            reports=ReportsSettings(store=str(self.root / "reports")),
        )
        self.placement = place(self.fleet, dict.fromkeys(families, 1.0))
        self.shards = {family: self._write(family, 0) for family in families}

    @staticmethod
    def cell(number: int) -> str:
        return f"cell-{number // _CELL:05d}"

    @property
    def repository(self) -> TrustRepository:
        return TrustRepository(open_store(self.root / "store"), self.keyring)

    def publish(self, *, change: float) -> Published:
        """Publishes the next release, in which every family has `change` of its passages (at least one) changed."""
        self.releases += 1
        if change:
            self.shards = {family: self._write(family, max(round(change * self.passages), 1)) for family in self.shards}
        return publish_release(
            self.repository,
            self.shards,
            recipients(self.fleet, self.placement),
            release=self.releases,
            staged=True,
        )

    def _write(self, family: str, changed: int) -> Path:
        document_id = f"{family}-manual"
        text, passages, sections, pages = "", [], [], []
        for number in range(self.passages):
            title = f"Part {number}"
            body = (
                f"Part {number} of the {family} is checked every {number * 100 + 50} h. Its bolt takes "
                f"{number * 7 + 3} Nm, and its clearance is {number * 3 + 1} mm at {number + 20} °C."
            )
            body += f" Revision {self.releases} applies." if number < changed else ""
            top, start = len(text), len(text) + len(title) + 1
            text += f"{title}\n{body}\n\n"
            end = start + len(body)
            sections.append(Section(id=f"s{number}", title=title, level=1, path=(title,), start=top, end=end))
            pages.append(Page(number=number + 1, start=top, end=end))
            passages.append(
                Passage(
                    id=passage_id(document_id, start, body),
                    document_id=document_id,
                    family=family,
                    text=body,
                    start=start,
                    end=end,
                    page=number + 1,
                    section_id=f"s{number}",
                    section_path=(title,),
                )
            )
        document = Document(
            id=document_id,
            family=family,
            version=f"v{self.releases}",
            title=f"Manual of the {family}",
            source=f"{family}/manual.md",
            language="en",
            text=text,
            sections=tuple(sections),
            pages=tuple(pages),
        )
        spans = sentence_spans(passages)
        sentences = [passages[span.passage].text[span.start : span.end] for span in spans]
        vectors = _embed([encoder_text(passage) for passage in passages])
        found = ShardVectors(vectors, _embed(sentences), vectors.copy(), np.arange(len(passages), dtype=np.int32))
        return write_shard(
            self.root / "shards",
            family=family,
            documents=(document,),
            passages=passages,
            figures=(),
            frames=(),
            vectors=found,
            fingerprints={"text": "hash", "joint": "hash", "chunker": "one-section"},
        ).path


def _embed(texts: list[str]) -> np.ndarray:
    """Normalised noise (n, 32) float32 that follows from the text: what is measured here is transport."""
    rows = [
        np.random.default_rng(int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")).standard_normal(
            _DIMENSION
        )
        for text in texts
    ]
    matrix = np.stack(rows).astype(np.float32)
    return matrix / np.linalg.norm(matrix, axis=1, keepdims=True)
