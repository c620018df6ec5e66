"""Joint image-text encoder: images and texts in one space (CLIP, Radford et al. 2021; SigLIP, Zhai et al. 2023)."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from lineside.encoders.batches import length_batches, unit_rows
from lineside.encoders.graphs import Compiled
from lineside.encoders.settings import Runtime
from lineside.errors import ConfigurationError


class JointEncoder(ABC):
    """Images, and texts where the model has a text tower, as vectors of one space.

    A vision-only backbone (MobileViT, ViT, ConvNeXt ...) works for image-to-image search; its `encodes_text` is False.

    Attributes:
        dimension: length of a vector, the same for images and texts.
        fingerprint: changes whenever the vectors may change.
        encodes_text: whether texts can be encoded too.
        max_text_tokens: longer texts are cut to this many tokens (77 for CLIP, 64 for SigLIP).
        image_side: pixels on the shorter side that the encoder wants.
    """

    def __init__(
        self,
        *,
        dimension: int,
        fingerprint: str,
        image_side: int,
        cuts_ends: bool,
        encodes_text: bool,
        max_text_tokens: int,
        pad_token: int,
        runtime: Runtime = Runtime(),
    ) -> None:
        """`cuts_ends`: whether the shorter side is scaled and the middle square kept, so that ends do not matter."""
        self.dimension = dimension
        self.fingerprint = fingerprint
        self.image_side = image_side
        self.encodes_text = encodes_text
        self.max_text_tokens = max_text_tokens
        self.runtime = runtime
        self._cuts_ends = cuts_ends
        self._pad_token = pad_token

    @property
    @abstractmethod
    def _run_images(self) -> Compiled:
        """Pixels `(b, 3, h, w) float32` → rows `(b, dimension)`."""

    @property
    @abstractmethod
    def _run_texts(self) -> Compiled:
        """Token ids and mask, both `(b, t) int64` → rows `(b, dimension)`."""

    @abstractmethod
    def _pixels(self, images: Sequence[Image.Image]) -> NDArray[np.float32]:
        """RGB images → what the network takes."""

    @abstractmethod
    def _tokens(self, texts: Sequence[str]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Texts → token ids and mask, padded to the longest or to full length, as the text tower was trained."""

    def encode_texts(self, texts: Sequence[str], *, pad_multiple: int = 0) -> NDArray[np.float32]:
        """`n` texts → `(n, dimension) float32`, every row of length 1.

        With `pad_multiple` a vector has the same bits in whatever batch its text stands (`length_batches`).

        Raises:
            ConfigurationError: the model has no text tower.
        """
        if not self.encodes_text:
            raise ConfigurationError("this joint encoder has no text tower: it compares images with images only")
        rows = np.empty((len(texts), self.dimension), np.float32)
        if not texts:
            return rows
        ids, mask = self._tokens(texts)
        lengths = mask.sum(axis=1).tolist()
        for places, width in length_batches(lengths, self.runtime.max_batch, pad_multiple, self.max_text_tokens):
            # Columns beyond the batch's width are padding of longer texts; a width beyond all texts adds some.
            cut = min(width, ids.shape[1])
            more = ((0, 0), (0, width - cut))
            part = np.pad(ids[places, :cut], more, constant_values=self._pad_token)
            rows[places] = unit_rows(self._run_texts(part, np.pad(mask[places, :cut], more))[0])
        return rows

    def encode_images(self, images: Sequence[Image.Image]) -> NDArray[np.float32]:
        """`n` RGB images of any size → `(n, dimension) float32`, every row of length 1."""
        if self._cuts_ends:
            images = [_without_ends(image) for image in images]
        size = self.runtime.max_batch
        parts = [images[first : first + size] for first in range(0, len(images), size)]
        rows = [unit_rows(self._run_images(self._pixels(part))[0]) for part in parts]
        return np.concatenate(rows) if rows else np.empty((0, self.dimension), np.float32)


def _without_ends(image: Image.Image) -> Image.Image:
    """The middle of a strip. A processor that scales the shorter side up and keeps the central square would blow a
    strip of 1 × 16 384 pixels up to gigabytes first."""
    width, height = image.size
    longest = 4 * min(width, height)
    if max(width, height) <= longest:
        return image
    left, top = max(0, (width - longest) // 2), max(0, (height - longest) // 2)
    return image.crop((left, top, min(width, left + longest), min(height, top + longest)))
