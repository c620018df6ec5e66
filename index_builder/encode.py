"""Turns texts and images into vectors of the store, and the rows of a family into what its shard is written from."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from index_builder.parsed import Content, text_digest
from index_builder.settings import JobSettings
from index_builder.vectors import PAD_MULTIPLE, VectorSpace
from lineside.documents import Figure, Frame
from lineside.encoders import ImageLimits, JointEncoder, TextEncoder, load_joint_encoder, load_text_encoder, read_image
from lineside.errors import RequestError
from lineside.shards import ShardVectors, encoder_text, sentence_spans

Rows = NDArray[np.float32]

# Figures and frames come from the plant's own store, not from a client: what the parsers let through is encoded.
STORED_IMAGE_LIMITS = ImageLimits(max_bytes=64 * 2**20, max_pixels=200_000_000, max_side=65_535)


class Encoders:
    """The models of a job, each loaded when it is first used."""

    def __init__(
        self, settings: JobSettings, text: TextEncoder | None = None, joint: JointEncoder | None = None
    ) -> None:
        self._settings = settings
        self._text, self._joint = text, joint
        self._probes: dict[str, Rows] = {}

    @property
    def text(self) -> TextEncoder:
        if self._text is None:
            self._text = load_text_encoder(self._settings.text.folder, runtime=self._settings.text.runtime)
        return self._text

    @property
    def joint(self) -> JointEncoder:
        assert self._settings.joint is not None
        if self._joint is None:
            self._joint = load_joint_encoder(self._settings.joint.folder, runtime=self._settings.joint.runtime)
        return self._joint

    def texts(self, texts: Sequence[str], *, joint: bool) -> Rows:
        """`n` texts → `(n, d) float32`; the same text gives the same bits in any company."""
        encoder = self.joint.encode_texts if joint else self.text.encode
        return encoder(texts, pad_multiple=PAD_MULTIPLE)

    def images(self, images: Sequence[bytes]) -> tuple[Rows, list[int]]:
        """`n` encoded images → `(n, d) float32`, and the places of those that cannot be decoded: their rows are zero.

        A batch is decoded at a time: the decoded frames of a family may be larger than the memory.
        """
        joint = self.joint
        rows = np.zeros((len(images), joint.dimension), np.float32)
        unreadable: list[int] = []
        for first in range(0, len(images), joint.runtime.max_batch):
            decoded: list[Image.Image] = []
            places: list[int] = []
            for place in range(first, min(first + joint.runtime.max_batch, len(images))):
                try:
                    decoded.append(read_image(images[place], STORED_IMAGE_LIMITS, wanted_side=joint.image_side))
                    places.append(place)
                except RequestError:  # too large or no image that the encoder reads
                    unreadable.append(place)
            if decoded:
                rows[places] = joint.encode_images(decoded)
        return rows, unreadable

    def warm(self, spaces: Iterable[str]) -> None:
        """Loads and compiles what these spaces need."""
        for space in spaces:
            self.probe(space)

    def probe(self, space: str) -> Rows:
        """(1, d): tells a space's dimension."""
        if space not in self._probes:
            if space == "joint_image":
                self._probes[space] = self.joint.encode_images([Image.new("RGB", (32, 32), "grey")])
            else:
                self._probes[space] = self.texts(["probe"], joint=space == "joint_text")
        return self._probes[space]


def shard_vectors(
    content: Content, text: VectorSpace, joint_text: VectorSpace | None, joint_image: VectorSpace | None
) -> ShardVectors:
    """Vectors of a family's rows, in the order passages, figures, frames, as `write_shard` wants them.

    Raises:
        ShardError: a vector is missing.
    """
    passages = content.passages
    pictures: list[Figure | Frame] = [*content.figures, *content.frames]
    texts = [*map(encoder_text, passages), *map(encoder_text, pictures)]
    quoted = [passages[span.passage].text[span.start : span.end] for span in sentence_spans(passages)]
    text_rows, sentences = _text_rows(texts, text), _text_rows(quoted, text)
    known = _text_rows([question.text for question in content.known], text)
    if joint_image is None:
        return ShardVectors(text=text_rows, sentences=sentences, known=known)
    images = joint_image.lookup(list(content.images))
    if joint_text is None:
        own = np.empty((0, images.shape[1]), np.float32)
        joint_rows = np.arange(len(texts), dtype=np.int32) - len(passages)
        joint_rows[: len(passages)] = -1
    else:
        own = _text_rows(texts[: len(passages)], joint_text)
        joint_rows = np.arange(len(texts), dtype=np.int32)
    joint = np.concatenate([own, images])
    encoded = np.append(joint.any(axis=1), False)  # row -1 is none
    joint_rows[~encoded[joint_rows]] = -1
    return ShardVectors(text=text_rows, sentences=sentences, joint=joint, joint_rows=joint_rows, known=known)


def _text_rows(texts: Sequence[str], space: VectorSpace) -> Rows:
    """A caption may be empty: such a row has no place in text search, which a zero row says."""
    said = np.array([bool(text.strip()) for text in texts], bool)
    found = space.lookup([text_digest(text) for text, is_said in zip(texts, said, strict=True) if is_said])
    rows = np.zeros((len(texts), found.shape[1]), np.float32)
    rows[said] = found
    return rows
