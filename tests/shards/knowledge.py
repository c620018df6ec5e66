"""Small invented knowledge for tests: documents, passages, images and vectors that follow from their words."""

from __future__ import annotations

import functools
import hashlib
import io
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from lineside.analysis import terms
from lineside.documents import Document, Figure, Frame, KnownQuestion, Page, Passage, Section, passage_id
from lineside.shards import ShardVectors, encoder_text, sentence_spans

DIMENSION = 32
START = datetime(2025, 3, 1, tzinfo=UTC)


@functools.cache
def embed(text: str) -> NDArray[np.float32]:
    """A bag of words thrown on `DIMENSION` axes by hash: equal words, equal vectors; meaning is not understood."""
    vector = np.zeros(DIMENSION, np.float32)
    for term in terms(text):
        digest = hashlib.blake2b(term.encode(), digest_size=8).digest()
        vector += np.random.default_rng(int.from_bytes(digest, "big")).standard_normal(DIMENSION).astype(np.float32)
    norm = float(np.linalg.norm(vector))
    vector = vector / norm if norm else vector
    vector.flags.writeable = False  # every caller's
    return vector


def embed_all(texts: list[str]) -> NDArray[np.float32]:
    return np.stack([embed(t) for t in texts]) if texts else np.zeros((0, DIMENSION), np.float32)


@functools.cache
def picture(seed: int, width: int = 48, height: int = 32) -> bytes:
    colour = np.random.default_rng(seed).integers(0, 255, 3)
    out = io.BytesIO()
    Image.new("RGB", (width, height), tuple(int(c) for c in colour)).save(out, "PNG")
    return out.getvalue()


@dataclass(frozen=True)
class Knowledge:
    """The arguments of `write_shard` that describe content."""

    family: str
    documents: tuple[Document, ...]
    passages: tuple[Passage, ...]
    figures: tuple[Figure, ...] = ()
    frames: tuple[Frame, ...] = ()
    known: tuple[KnownQuestion, ...] = ()

    def vectors(self) -> ShardVectors:
        items = (*self.passages, *self.figures, *self.frames)
        text = embed_all([encoder_text(i) for i in items])
        spans = sentence_spans(self.passages)
        sentences = embed_all([self.passages[s.passage].text[s.start : s.end] for s in spans])
        known = embed_all([q.text for q in self.known])
        return ShardVectors(text, sentences, text.copy(), np.arange(len(items), dtype=np.int32), known)

    def arguments(self) -> dict[str, object]:
        return {
            "family": self.family,
            "documents": self.documents,
            "passages": self.passages,
            "figures": self.figures,
            "frames": self.frames,
            "known": self.known,
            "vectors": self.vectors(),
            "fingerprints": {"text": "bag-of-words", "joint": "bag-of-words", "chunker": "one-section"},
        }

    def reordered(self, seed: int) -> Knowledge:
        rng = np.random.default_rng(seed)

        def shuffled(items: tuple[object, ...]) -> tuple[object, ...]:
            return tuple(items[i] for i in rng.permutation(len(items)))

        names = ("documents", "passages", "figures", "frames", "known")
        return replace(self, **{name: shuffled(getattr(self, name)) for name in names})


def manual(
    family: str, name: str, sections: dict[str, str], *, pages: bool = True, **fields: object
) -> tuple[Document, tuple[Passage, ...]]:
    """A document with one passage a section, each on a page of its own."""
    document_id = f"{family}-{name}"
    text, passages, found_sections, found_pages = "", [], [], []
    for number, (title, body) in enumerate(sections.items(), start=1):
        top = len(text)
        text += f"{title}\n"
        start = len(text)
        text += body
        section = Section(id=f"s{number}", title=title, level=1, path=(title,), start=top, end=len(text))
        found_sections.append(section)
        found_pages.append(Page(number=number, start=top, end=len(text)))
        passages.append(
            Passage(
                id=passage_id(document_id, start, body),
                document_id=document_id,
                family=family,
                text=body,
                start=start,
                end=start + len(body),
                page=number if pages else None,
                section_id=section.id,
                section_path=(title,),
            )
        )
        text += "\n\n"
    document = Document(
        id=document_id,
        title=name.replace("-", " ").capitalize(),
        version="0123456789ab",
        family=family,
        source=f"{family}/{name}.md",
        text=text,
        pages=tuple(found_pages) if pages else (),
        sections=tuple(found_sections),
        **fields,
    )
    return document, tuple(passages)


def frames_of(family: str, label: str, caption: str, count: int, seed: int = 0) -> tuple[Frame, ...]:
    return tuple(
        Frame(
            id=f"{family}-{label}-{i}",
            family=family,
            camera_id=f"{family}-cam-{i % 2}",
            time=START + timedelta(hours=i),
            label=label,
            caption=caption,
            source=f"frames/{family}/{label}-{i}.png",
            image=picture(seed + i),
            media_type="image/png",
        )
        for i in range(count)
    )


def known_questions(family: str, **answered: bool) -> tuple[KnownQuestion, ...]:
    """Questions by their words joined with underscores."""
    return tuple(
        KnownQuestion(
            family=family, text=words.replace("_", " ") + "?", answered=found, source=f"{family}/asked.questions.jsonl"
        )
        for words, found in answered.items()
    )


def drive() -> Knowledge:
    document, passages = manual(
        "drive",
        "motor-manual",
        {
            "Bearing temperature": "The bearing alarm is raised at 95 °C. Reduce the load and check the grease. "
            "At 105 °C the motor trips.",
            "Error codes": "Code: E-452; Meaning: winding over-temperature; Action: check the cooling fan.",
            "Error E-453": "Code: E-453; Meaning: winding over-temperature; Action: check the cooling fan.",
            "Lubrication": "Grease the bearing every 2000 h with 40 g of lithium grease. Wipe the nipple first.",
        },
    )
    figure = Figure(
        id="drive-figure-1",
        document_id=document.id,
        family="drive",
        caption="Grease nipple of the drive-end bearing",
        section_id="s4",
        section_path=("Lubrication",),
        page=4,
        start=passages[3].start,
        image=picture(7, 1200, 800),
        media_type="image/png",
    )
    frames = (
        *frames_of("drive", "thermal-bearing-hot", "Thermal view: a hot bearing", 6),
        *frames_of("drive", "thermal-normal", "Thermal view: normal temperatures", 6, seed=50),
    )
    known = known_questions("drive", How_much_grease_for_the_bearing=True, How_heavy_is_the_bearing=False)
    return Knowledge("drive", (document,), passages, (figure,), frames, known)


def pump() -> Knowledge:
    document, passages = manual(
        "pump",
        "pump-maintenance",
        {
            "Seal leakage": "A mechanical seal that drips more than 10 drops a minute is replaced. Seal kit HX-200/A.",
            "Cavitation": "Cavitation sounds like gravel. Raise the suction pressure above 0.6 bar.",
        },
        pages=False,
    )
    incident, reports = manual(
        "pump",
        "incidents",
        {"INC-0042": "Pump P-103 lost pressure. The seal kit HX-200/A was fitted and the leak stopped."},
        pages=False,
        kind="incident",
        time=START + timedelta(days=3),
        access="internal",
    )
    return Knowledge("pump", (document, incident), (*passages, *reports))
