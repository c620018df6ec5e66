"""Vectors for the rows of one family's shard; equal texts and images are encoded once."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from lineside.documents import Figure, Frame, Passage
from lineside.encoders import ImageLimits, JointEncoder, TextEncoder, read_image
from lineside.shards import ShardVectors, encoder_text, sentence_spans

Rows = NDArray[np.float32]

# Figures and frames come from the plant's own store, not from a client: larger scans are allowed.
STORED_IMAGE_LIMITS = ImageLimits(max_bytes=32 * 2**20, max_pixels=80_000_000)


def embed(
    passages: Sequence[Passage],
    figures: Sequence[Figure],
    frames: Sequence[Frame],
    text: TextEncoder,
    joint: JointEncoder | None,
) -> ShardVectors:
    """Vectors in the order passages, figures, frames, as `write_shard` wants them."""
    spans = sentence_spans(passages)
    pictures: list[Figure | Frame] = [*figures, *frames]
    texts = [*map(encoder_text, passages), *map(encoder_text, pictures)]
    quoted = [passages[span.passage].text[span.start : span.end] for span in spans]
    text_rows = _once(texts, text.encode, text.dimension)
    # A caption may be empty: such a row has no place in text search, which a zero row says.
    text_rows[[not t.strip() for t in texts]] = 0
    sentences = _once(quoted, text.encode, text.dimension)
    if joint is None:
        return ShardVectors(text=text_rows, sentences=sentences)
    images = [picture.image for picture in pictures]
    image_rows = _once(images, lambda batch: joint.encode_images(_decoded(batch, joint.image_side)), joint.dimension)
    if joint.encodes_text:
        passage_rows = _once(texts[: len(passages)], joint.encode_texts, joint.dimension)
        joint_rows = np.arange(len(texts), dtype=np.int32)
    else:
        passage_rows = np.empty((0, joint.dimension), np.float32)
        joint_rows = np.arange(len(texts), dtype=np.int32) - len(passages)
        joint_rows[: len(passages)] = -1
    return ShardVectors(
        text=text_rows, sentences=sentences, joint=np.concatenate([passage_rows, image_rows]), joint_rows=joint_rows
    )


def _decoded(images: Sequence[bytes], side: int) -> list:  # type: ignore[type-arg]
    return [read_image(data, STORED_IMAGE_LIMITS, wanted_side=side) for data in images]


def _once(items: Sequence, encode: Callable[[Sequence], Rows], dimension: int) -> Rows:  # type: ignore[type-arg]
    distinct = list(dict.fromkeys(items))
    if not distinct:
        return np.empty((0, dimension), np.float32)
    place = {item: row for row, item in enumerate(distinct)}
    return encode(distinct)[[place[item] for item in items]]
