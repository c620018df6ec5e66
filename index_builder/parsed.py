"""One source file as the job keeps it: what was read for it, what came of it, and hashes of all that is encoded."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from index_builder.digests import digest, join, split
from lineside.documents import Document, Figure, Frame, KnownQuestion, Passage
from lineside.errors import IntegrityError
from lineside.shards import encoder_text, sentence_spans

PARSED_SCHEMA = pa.schema(
    [
        ("path", pa.string()),
        ("etag", pa.string()),
        ("maker", pa.string()),
        ("label", pa.string()),
        ("links", pa.list_(pa.struct([("path", pa.string()), ("etag", pa.string())]))),
        ("error", pa.string()),
        ("warnings", pa.list_(pa.string())),
        ("families", pa.list_(pa.string())),
        ("digest", pa.binary(16)),
        ("documents", pa.int32()),
        ("passages", pa.int32()),
        ("figures", pa.int32()),
        ("frames", pa.int32()),
        ("known_questions", pa.int32()),
        ("texts", pa.binary()),
        ("joint_texts", pa.binary()),
        ("images", pa.binary()),
        ("content", pa.large_string()),
        ("thumbnails", pa.list_(pa.large_binary())),
    ]
)
LIGHT = PARSED_SCHEMA.names[:-2]
"""All but what a shard is written from."""


@dataclass(frozen=True, slots=True)
class Content:
    """What a file holds. `image` of figures and frames is their thumbnail; `images` the hashes of the originals.

    images: one for every figure, then one for every frame.
    """

    documents: Sequence[Document] = ()
    passages: Sequence[Passage] = ()
    figures: Sequence[Figure] = ()
    frames: Sequence[Frame] = ()
    images: Sequence[bytes] = ()
    known: Sequence[KnownQuestion] = ()

    def of_family(self, family: str) -> Content:
        """The part that belongs to one family."""
        pictures: list[Figure | Frame] = [*self.figures, *self.frames]
        return Content(
            documents=[d for d in self.documents if d.family == family],
            passages=[p for p in self.passages if p.family == family],
            figures=[f for f in self.figures if f.family == family],
            frames=[f for f in self.frames if f.family == family],
            images=[image for image, picture in zip(self.images, pictures, strict=True) if picture.family == family],
            known=[q for q in self.known if q.family == family],
        )


@dataclass(frozen=True, slots=True)
class Texts:
    """What of a file the encoders read, without repetition, blank ones left out."""

    text: dict[bytes, str]
    joint: dict[bytes, str]


def text_digest(text: str) -> bytes:
    """The key of a text in the vector store."""
    return digest("text", text)


def image_digest(data: bytes) -> bytes:
    """The key of an encoded image in the vector store."""
    return digest("image", data)


def texts_of(content: Content) -> Texts:
    """Passages under their headings, captions, sentences, known questions; for the joint space the passages alone."""
    passages = [encoder_text(passage) for passage in content.passages]
    pictures: list[Figure | Frame] = [*content.figures, *content.frames]
    captions = [encoder_text(item) for item in pictures]
    quoted = [content.passages[s.passage].text[s.start : s.end] for s in sentence_spans(content.passages)]
    asked = [question.text for question in content.known]
    return Texts(
        text={text_digest(text): text for text in (*passages, *captions, *quoted, *asked) if text.strip()},
        joint={text_digest(text): text for text in passages if text.strip()},
    )


class _Stored(BaseModel):
    model_config = ConfigDict(extra="forbid")

    documents: list[dict[str, Any]]
    passages: list[dict[str, Any]]
    figures: list[dict[str, Any]]
    frames: list[dict[str, Any]]
    images: list[int]
    known: list[dict[str, Any]]


_DOCUMENTS = TypeAdapter(list[Document])
_FIGURES = TypeAdapter(list[Figure])
_FRAMES = TypeAdapter(list[Frame])
_KNOWN = TypeAdapter(list[KnownQuestion])
_PASSAGES = TypeAdapter(list[Passage])


def parsed_row(
    *,
    path: str,
    etag: str,
    maker: str,
    label: str,
    links: dict[str, str],
    warnings: Sequence[str] = (),
    error: str | None = None,
    content: Content | None = None,
    thumbnails: dict[bytes, bytes] | None = None,
) -> dict[str, Any]:
    """A row of `PARSED_SCHEMA`. `thumbnails` has one for every distinct image of the content."""
    content = content or Content()
    texts = texts_of(content)
    distinct = list(dict.fromkeys(content.images))
    small = thumbnails or {}
    stored = _as_json(content, distinct)
    families = {d.family for d in content.documents} | {f.family for f in content.frames}
    families |= {question.family for question in content.known}
    return {
        "path": path,
        "etag": etag,
        "maker": maker,
        "label": label,
        "links": [{"path": link, "etag": tag} for link, tag in sorted(links.items())],
        "error": error,
        "warnings": list(warnings),
        "families": sorted(families),
        "digest": digest(stored, *distinct, *(small[image] for image in distinct)),
        "documents": len(content.documents),
        "passages": len(content.passages),
        "figures": len(content.figures),
        "frames": len(content.frames),
        "known_questions": len(content.known),
        "texts": join(texts.text),
        "joint_texts": join(texts.joint),
        "images": join(distinct),
        "content": stored,
        "thumbnails": [small[image] for image in distinct],
    }


def _as_json(content: Content, distinct: Sequence[bytes]) -> str:
    place = {image: number for number, image in enumerate(distinct)}
    numbers = {document.id: number for number, document in enumerate(content.documents)}
    return json.dumps(
        {
            "documents": [d.model_dump(mode="json", exclude={"figures"}) for d in content.documents],
            # A passage's text is a span of its document's.
            "passages": [
                {**p.model_dump(mode="json", exclude={"text", "document_id"}), "document": numbers[p.document_id]}
                for p in content.passages
            ],
            "figures": [f.model_dump(mode="json", exclude={"image", "media_type"}) for f in content.figures],
            "frames": [f.model_dump(mode="json", exclude={"image", "media_type"}) for f in content.frames],
            "images": [place[image] for image in content.images],
            "known": [q.model_dump(mode="json") for q in content.known],
        },
        ensure_ascii=False,
        separators=(",", ":"),
    )


def read_content(stored: str, images: bytes, thumbnails: Sequence[bytes]) -> Content:
    """The content of a row from its columns `content`, `images` and `thumbnails`.

    Raises:
        IntegrityError: the row is not what `parsed_row` made.
    """
    try:
        found = _Stored.model_validate_json(stored)
        small = [{"image": thumbnails[number], "media_type": "image/webp"} for number in found.images]
        split_at = len(found.figures)
        documents = _DOCUMENTS.validate_python(found.documents, strict=False)
        passages = []
        for fields in found.passages:
            document = documents[fields.pop("document")]
            text = document.text[fields["start"] : fields["end"]]
            passages.append({**fields, "document_id": document.id, "text": text})
        digests = split(images)
        return Content(
            documents=documents,
            passages=_PASSAGES.validate_python(passages),
            figures=_FIGURES.validate_python(
                [{**f, **image} for f, image in zip(found.figures, small[:split_at], strict=True)]
            ),
            frames=_FRAMES.validate_python(
                [{**f, **image} for f, image in zip(found.frames, small[split_at:], strict=True)]
            ),
            images=[digests[number] for number in found.images],
            known=_KNOWN.validate_python(found.known),
        )
    except (ValidationError, ValueError, KeyError, IndexError) as error:
        raise IntegrityError(f"a stored row cannot be read: {str(error)[:300]}") from error
