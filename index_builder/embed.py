"""Vectors for the rows of one family's shard; equal texts and images are encoded once."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from lineside.documents import Figure, Frame, Passage
from lineside.encoders import ImageLimits, JointEncoder, TextEncoder, read_image
from lineside.shards import ShardVectors, encoder_text, sentence_spans

Rows = NDArray[np.float32]

# Figures and frames come from the plant's own store, not from a client: what the parsers let through is encoded.
STORED_IMAGE_LIMITS = ImageLimits(max_bytes=64 * 2**20, max_pixels=200_000_000, max_side=65_535)


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
    image_rows = _once(images, lambda distinct: _encode_images(distinct, joint), joint.dimension)
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


def _encode_images(images: Sequence[bytes], joint: JointEncoder) -> Rows:
    """A batch is decoded at a time: the decoded frames of a family may be larger than the memory."""
    size = joint.runtime.max_batch
    rows = [
        joint.encode_images(
            [
                read_image(data, STORED_IMAGE_LIMITS, wanted_side=joint.image_side)
                for data in images[first : first + size]
            ]
        )
        for first in range(0, len(images), size)
    ]
    return np.concatenate(rows)


def _once(items: Sequence, encode: Callable[[Sequence], Rows], dimension: int) -> Rows:  # type: ignore[type-arg]
    distinct = list(dict.fromkeys(items))
    if not distinct:
        return np.empty((0, dimension), np.float32)
    place = {item: row for row, item in enumerate(distinct)}
    return encode(distinct)[[place[item] for item in items]]
