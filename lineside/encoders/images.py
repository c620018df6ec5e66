"""From untrusted bytes to an RGB image: formats, sizes and decompression bombs are checked before pixels exist."""

from __future__ import annotations

import base64
import binascii
import io
import re
import struct
import warnings
from dataclasses import dataclass

from PIL import ExifTags, Image, UnidentifiedImageError
from pydantic import BaseModel, ConfigDict, Field

from lineside.errors import InvalidRequest, TooLarge, UnsupportedImage

FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "TIFF", "GIF")

_DATA_URL = re.compile(r"data:(?P<type>[\w.+-]+/[\w.+-]+)?(?:;[\w=.+-]+)*?(?P<base64>;base64)?,", re.IGNORECASE)
_WHITE_SPACE = re.compile(r"\s+")
_DAMAGED = (
    OSError, SyntaxError, ValueError, EOFError, IndexError, KeyError, TypeError, OverflowError, MemoryError,
    struct.error, Image.DecompressionBombError,
)  # fmt: skip
"""What Pillow's readers raise on damaged files."""
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""EXIF orientation → what makes the image upright."""


class ImageLimits(BaseModel):
    """How large an image from outside may be."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    max_bytes: int = Field(10 * 2**20, ge=1_024, le=64 * 2**20, description="encoded size")
    max_pixels: int = Field(40_000_000, ge=10_000, le=200_000_000, description="width × height as the header states it")
    max_side: int = Field(16_384, ge=256, le=65_535, description="width or height")


@dataclass(frozen=True, slots=True)
class ImageInfo:
    """What an image's header says."""

    format: str
    width: int
    height: int

    @property
    def media_type(self) -> str:
        return f"image/{self.format.lower()}"


def decode_base64(text: str, limits: ImageLimits = ImageLimits()) -> bytes:
    """The bytes of a base64 string or a `data:` URL (RFC 2397).

    Raises:
        TooLarge: more bytes than `limits.max_bytes`.
        InvalidRequest: not base64.
        UnsupportedImage: a data URL of something that is not an image.
    """
    if text[:5].lower() == "data:":
        match = _DATA_URL.match(text[:256])
        if match is None or not match["base64"]:
            raise InvalidRequest("image: the data URL must look like data:image/jpeg;base64,...")
        if match["type"] and not match["type"].lower().startswith("image/"):
            raise UnsupportedImage(f"image: the data URL holds {match['type']}, not an image")
        text = text[match.end() :]
    if len(text) > limits.max_bytes * 3 // 2:
        raise TooLarge(f"image: over the limit of {limits.max_bytes:,} bytes; send a smaller or more compressed image")
    compact = _WHITE_SPACE.sub("", text)
    try:
        data = base64.b64decode(compact, validate=True)
    except (binascii.Error, ValueError):
        raise InvalidRequest("image: not valid base64; encode the image file's bytes with standard base64") from None
    return data


def inspect_image(data: bytes, limits: ImageLimits = ImageLimits()) -> ImageInfo:
    """Reads the header only and checks it against the limits; no pixel is decoded.

    Raises:
        TooLarge: too many bytes or pixels.
        UnsupportedImage: empty, damaged, or not one of `FORMATS`.
    """
    return _info(_open(data, limits), limits)


def read_image(data: bytes, limits: ImageLimits = ImageLimits(), *, wanted_side: int | None = None) -> Image.Image:
    """Decodes to RGB, upright (EXIF orientation applied), first frame of an animation, transparency on white.

    With `wanted_side` a JPEG is decoded at a reduced scale, and any other large image is shrunk after decoding, so that
    a batch of them fits into memory; the shorter side keeps at least `wanted_side` pixels (where it had them).

    Raises:
        TooLarge: too many bytes or pixels.
        UnsupportedImage: empty, damaged, or not one of `FORMATS`.
    """
    image = _open(data, limits)
    _info(image, limits)
    try:
        if wanted_side is not None:
            image.draft("RGB", (wanted_side, wanted_side))
        image.load()
        image = _rgb(image)
    except _DAMAGED as error:
        raise UnsupportedImage(f"image: damaged or incomplete ({error}); send it again") from error
    return image if wanted_side is None else _shrink(image, wanted_side)


def _rgb(image: Image.Image) -> Image.Image:
    """8-bit RGB, upright."""
    orientation = _orientation(image)
    if image.mode in ("I;16", "I;16B", "I;16L", "I", "F"):
        rgb = _stretch_deep_grey(image)
    elif image.has_transparency_data:
        rgba = image.convert("RGBA")
        rgb = Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba).convert("RGB")
    else:
        rgb = image.convert("RGB")
    return rgb.transpose(_UPRIGHT[orientation]) if orientation in _UPRIGHT else rgb


def _orientation(image: Image.Image) -> int:
    """The EXIF orientation; 1 (upright) where there is none. Damaged EXIF data does not make an image unreadable."""
    try:
        orientation = image.getexif().get(ExifTags.Base.Orientation, 1)
    except _DAMAGED:
        return 1
    return orientation if isinstance(orientation, int) else 1


def _shrink(image: Image.Image, wanted_side: int) -> Image.Image:
    factor = min(image.size) // (2 * wanted_side)
    return image.reduce(factor) if factor > 1 else image


def _open(data: bytes, limits: ImageLimits) -> Image.Image:
    if len(data) > limits.max_bytes:
        raise TooLarge(
            f"image: {len(data):,} bytes is over the limit of {limits.max_bytes:,}; "
            "send a smaller or more compressed one"
        )
    if not data:
        raise UnsupportedImage("image: empty; send the bytes of a PNG, JPEG, WebP, BMP, TIFF or GIF file")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # the limits below are stricter
            return Image.open(io.BytesIO(data), formats=FORMATS)
    except Image.DecompressionBombError as error:
        raise TooLarge(f"image: {error}; the limit is {limits.max_pixels:,} pixels") from error
    except (UnidentifiedImageError, *_DAMAGED) as error:
        raise UnsupportedImage("image: not a readable PNG, JPEG, WebP, BMP, TIFF or GIF") from error


def _info(image: Image.Image, limits: ImageLimits) -> ImageInfo:
    width, height = image.size
    if width < 1 or height < 1:
        raise UnsupportedImage("image: it has no pixels")
    if width * height > limits.max_pixels or max(width, height) > limits.max_side:
        raise TooLarge(
            f"image: {width} × {height} pixels is over the limit of {limits.max_pixels:,} pixels "
            f"and {limits.max_side:,} on a side; resize it before sending"
        )
    # MPO is what some cameras write: a JPEG with further pictures behind it.
    return ImageInfo(format="JPEG" if image.format == "MPO" else image.format or "", width=width, height=height)


def _stretch_deep_grey(image: Image.Image) -> Image.Image:
    """16-bit and float images (thermal cameras) to 8-bit by their own range; a plain convert would clip them."""
    low, high = image.convert("F").getextrema()
    scale = 255.0 / (high - low) if high > low else 0.0  # type: ignore[operator]
    return image.convert("F").point(lambda value: value * scale - low * scale).convert("L").convert("RGB")  # type: ignore[operator]
