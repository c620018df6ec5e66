"""Images inside documents and camera frames: checked, bounded, and in a format that every reader knows."""

from __future__ import annotations

import io
import warnings
from dataclasses import dataclass

from PIL import Image, UnidentifiedImageError

from ingest.limits import ParseLimits
from lineside.errors import ParseError

_KEPT = {"PNG": "image/png", "JPEG": "image/jpeg", "WEBP": "image/webp"}
_READ = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "PPM")
IMAGE_EXTENSIONS = frozenset({".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".ppm", ".pgm"})


@dataclass(frozen=True, slots=True)
class EncodedImage:
    """A PNG, JPEG or WebP file that decodes, with its size in pixels."""

    data: bytes
    media_type: str
    width: int
    height: int


def check_image(data: bytes, limits: ParseLimits) -> EncodedImage:
    """Verify that `data` decodes within the limits; GIF, BMP, TIFF and PPM are re-encoded as PNG.

    Raises: ParseError when it is no such image, is damaged or is over a limit.
    """
    if len(data) > limits.max_image_bytes:
        raise ParseError(f"the image has {len(data)} bytes, over the limit of {limits.max_image_bytes}: shrink it")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(io.BytesIO(data), formats=_READ) as image:
                width, height = image.size
                if width * height > limits.max_image_pixels:
                    raise ParseError(
                        f"the image has {width} x {height} pixels; the limit is {limits.max_image_pixels}: shrink it"
                    )
                kind = image.format or ""
                image.load()
                if kind in _KEPT:
                    return EncodedImage(data, _KEPT[kind], width, height)
                return encode_png(image, limits)
    except UnidentifiedImageError as error:
        raise ParseError("not an image that is read: save it as PNG, JPEG or WebP") from error
    except (OSError, ValueError, SyntaxError, EOFError, Image.DecompressionBombError) as error:
        raise ParseError(f"the image is damaged ({error}): export it again") from error


def is_svg(data: bytes) -> bool:
    """Whether bytes look like an SVG drawing."""
    start = data[:4_000].lstrip()
    return start.startswith((b"<?xml", b"<svg", b"<!", b"\xef\xbb\xbf<")) and b"<svg" in start


def encode_png(image: Image.Image, limits: ParseLimits) -> EncodedImage:
    """The image as PNG, shrunk so that its longer side is at most `max_figure_side_px`."""
    image = image if image.mode in ("L", "RGB") else image.convert("RGBA" if "A" in image.getbands() else "RGB")
    image.thumbnail((limits.max_figure_side_px, limits.max_figure_side_px))
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return EncodedImage(buffer.getvalue(), "image/png", image.width, image.height)
