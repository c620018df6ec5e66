"""From RGB images to what a vision tower takes, bit for bit as transformers' Pillow image processors do it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydantic import BaseModel, ConfigDict, Field, model_validator

Side = Annotated[int, Field(ge=1, le=2_048)]
Colour = Annotated[float, Field(ge=-1e4, le=1e4, allow_inf_nan=False)]


class Pixels(BaseModel):
    """Resize, crop, scale and normalise, in this order; what is None is left out. Sides are pixels.

    Every image comes out with the same size.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    side: Side = Field(description="shorter side that an image should have at least before it is prepared")
    exact: tuple[Side, Side] | None = Field(description="height and width that an image is resized to")
    shortest: Side | None = Field(description="length that the shorter side is resized to, keeping proportions")
    resample: Literal[0, 1, 2, 3, 4, 5] = Field(description="PIL.Image.Resampling")
    cuts_ends: bool = Field(description="of long strips only the middle is used")
    crop: tuple[Side, Side] | None = Field(description="height and width of the middle that is kept, padded with zeros")
    scale: float | None = Field(gt=0, le=1, description="factor of the bytes")
    mean: tuple[Colour, Colour, Colour] | None
    deviation: tuple[Colour, Colour, Colour] | None
    blue_first: bool = Field(False, description="channels in the order blue, green, red (MobileViT)")

    @model_validator(mode="after")
    def _gives_one_size(self) -> Pixels:
        if self.exact is not None and self.shortest is not None:
            raise ValueError("exact and shortest exclude each other")
        if self.exact is None and self.crop is None:
            raise ValueError("images of different sizes: exact or crop is needed")
        if (self.mean is None) != (self.deviation is None) or (self.deviation is not None and 0 in self.deviation):
            raise ValueError("mean and deviation come together, and no deviation is 0")
        return self


def prepare(images: Sequence[Image.Image], how: Pixels) -> NDArray[np.float32]:
    """`n` images of any size and mode → `(n, 3, h, w) float32`."""
    # A byte has 256 values: what scaling and normalising make of each is computed once, in the processors' own steps.
    values = np.arange(256, dtype=np.uint8)
    levels = values.astype(np.float32) if how.scale is None else (values.astype(np.float64) * how.scale).astype("f4")
    table = np.repeat(levels[None, :], 3, axis=0)
    if how.mean is not None and how.deviation is not None:
        table = (table - np.array(how.mean, "f4")[:, None]) / np.array(how.deviation, "f4")[:, None]
    order = (2, 1, 0) if how.blue_first else (0, 1, 2)
    return np.stack([_coloured(_sized(image, how), table[list(order)], order) for image in images])


def _coloured(pixels: NDArray[np.uint8], table: NDArray[np.float32], order: Sequence[int]) -> NDArray[np.float32]:
    """`(h, w, 3)` bytes → `(3, h, w)` levels."""
    return np.stack([table[place][pixels[:, :, channel]] for place, channel in enumerate(order)])


def _sized(image: Image.Image, how: Pixels) -> NDArray[np.uint8]:
    """`(h, w, 3) uint8` in the size that the tower takes."""
    if image.mode != "RGB":
        image = image.convert("RGB")
    width, height = image.size
    if how.exact is not None:
        image = image.resize((how.exact[1], how.exact[0]), resample=Image.Resampling(how.resample))
    elif how.shortest is not None:
        longer = int(how.shortest * max(width, height) / min(width, height))
        size = (how.shortest, longer) if width <= height else (longer, how.shortest)
        image = image.resize(size, resample=Image.Resampling(how.resample))
    pixels = np.asarray(image)
    return pixels if how.crop is None else _middle(pixels, *how.crop)


def _middle(pixels: NDArray[np.uint8], height: int, width: int) -> NDArray[np.uint8]:
    """The middle of this size; zeros around what is smaller."""
    rows, columns = pixels.shape[:2]
    out = np.zeros((height, width, 3), np.uint8)
    (to_row, from_row, of_rows), (to_column, from_column, of_columns) = _overlap(rows, height), _overlap(columns, width)
    kept = pixels[from_row : from_row + of_rows, from_column : from_column + of_columns]
    out[to_row : to_row + of_rows, to_column : to_column + of_columns] = kept
    return out


def _overlap(has: int, wanted: int) -> tuple[int, int, int]:
    """(first place in the result, first place in the source, length) along one side."""
    if has >= wanted:
        return 0, (has - wanted) // 2, wanted
    return -((has - wanted) // 2), 0, has
