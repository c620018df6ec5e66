"""Images from outside: what can be read becomes upright RGB, everything else is refused with a reason."""

from __future__ import annotations

import base64
import contextlib
import io
import struct
import time
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from lineside.encoders import ImageLimits, decode_base64, inspect_image, read_image
from lineside.errors import InvalidRequest, RequestError, TooLarge, UnsupportedImage

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:PIL")  # Pillow warns of damage before it raises

RED, BLUE, WHITE = (255, 0, 0), (0, 0, 255), (255, 255, 255)


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def halves(left: tuple[int, int, int] = RED, right: tuple[int, int, int] = BLUE) -> Image.Image:
    """32 × 16: one colour on the left, another on the right."""
    image = Image.new("RGB", (32, 16), left)
    image.paste(right, (16, 0, 32, 16))
    return image


def noise() -> Image.Image:
    return Image.fromarray(np.random.default_rng(0).integers(0, 255, (18, 14, 3), dtype=np.uint8))


def black_png(width: int, height: int) -> bytes:
    """A one-bit PNG of any size in a few kilobytes: every row is zero."""

    def piece(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    rows = zlib.compress(bytes((1 + (width + 7) // 8) * height), 9)
    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + piece(b"IHDR", header) + piece(b"IDAT", rows) + piece(b"IEND", b"")


def oriented(orientation: int, kind: str = "JPEG") -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    exif[0x010E] = "press 2"
    return encoded(halves(), kind, exif=exif)


def close_to(pixel: object, colour: tuple[int, int, int], by: int = 12) -> bool:
    return bool(np.all(np.abs(np.array(pixel, int) - colour) <= by))


VALID = {
    "png": encoded(noise(), "PNG"),
    "png, palette": encoded(noise().quantize(8), "PNG", transparency=2),
    "png, 16 bit": encoded(Image.fromarray(np.arange(252, dtype=np.uint16).reshape(18, 14) * 200), "PNG"),
    "png, animated": encoded(noise(), "PNG", save_all=True, append_images=[noise().rotate(90)]),
    "jpeg": encoded(noise(), "JPEG"),
    "jpeg, exif": oriented(6),
    "jpeg, cmyk": encoded(noise().convert("CMYK"), "JPEG"),
    "jpeg, progressive": encoded(noise(), "JPEG", progressive=True),
    "webp": encoded(noise(), "WEBP"),
    "webp, lossless": encoded(noise(), "WEBP", lossless=True),
    "gif": encoded(noise(), "GIF", save_all=True, append_images=[noise().rotate(90)]),
    "tiff": encoded(noise(), "TIFF"),
    "tiff, deflate": encoded(noise(), "TIFF", compression="tiff_adobe_deflate"),
    "bmp": encoded(noise(), "BMP"),
}


@pytest.mark.parametrize("name", VALID)
def test_every_format_becomes_rgb(name: str) -> None:
    image = read_image(VALID[name])
    assert image.mode == "RGB"
    info = inspect_image(VALID[name])
    assert {info.width, info.height} == set(image.size)
    assert info.media_type == f"image/{name.split(',')[0]}"


def test_a_camera_jpeg_with_a_second_picture_is_a_jpeg() -> None:
    data = encoded(halves(), "MPO", save_all=True, append_images=[halves(BLUE, RED)])
    assert inspect_image(data).media_type == "image/jpeg"
    assert close_to(read_image(data).getpixel((2, 8)), RED)


@pytest.mark.parametrize("name", VALID)
@given(data=st.data())
def test_a_truncated_file_is_read_or_refused_and_nothing_else(name: str, data: st.DataObject) -> None:
    whole = VALID[name]
    _read_or_refused(whole[: data.draw(st.integers(0, len(whole) - 1))])


@pytest.mark.parametrize("name", VALID)
@given(changes=st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 255)), min_size=1, max_size=8))
def test_a_damaged_file_is_read_or_refused_and_nothing_else(name: str, changes: list[tuple[int, int]]) -> None:
    damaged = bytearray(VALID[name])
    for place, value in changes:
        damaged[place % min(len(damaged), 160)] = value  # headers, where damage does most
    _read_or_refused(bytes(damaged))


@given(st.binary(max_size=200), st.sampled_from(["", *VALID]))
def test_random_bytes_are_read_or_refused_and_nothing_else(data: bytes, header: str) -> None:
    _read_or_refused(VALID[header][:24] + data if header else data)


def _read_or_refused(data: bytes) -> None:
    small = ImageLimits(max_pixels=200_000)
    for wanted_side in (None, 8):
        with contextlib.suppress(RequestError):
            assert read_image(data, small, wanted_side=wanted_side).mode == "RGB"


@pytest.mark.parametrize("orientation", range(1, 9))
def test_frames_of_a_turned_camera_are_made_upright(orientation: int) -> None:
    image = read_image(oriented(orientation))
    width, height = image.size
    assert (width, height) == ((32, 16) if orientation <= 4 else (16, 32))
    red_first = orientation in (1, 4, 5, 6)
    first, last = image.getpixel((2, 2)), image.getpixel((width - 3, height - 3))
    assert close_to(first, RED if red_first else BLUE)
    assert close_to(last, BLUE if red_first else RED)


def test_damaged_exif_data_does_not_make_a_picture_unreadable() -> None:
    damaged = bytearray(oriented(6))
    damaged[damaged.index(b"Exif") + 17] = 0  # the type of a tag: text becomes nothing that can be written again
    assert read_image(bytes(damaged)).mode == "RGB"


def test_a_thermal_frame_of_16_bits_keeps_its_contrast() -> None:
    counts = np.full((16, 32), 30_000, np.uint16)
    counts[:, 16:] = 30_400  # a few kelvins: a plain conversion would make all of it white
    image = read_image(encoded(Image.fromarray(counts), "PNG"))
    assert (image.getpixel((4, 8)), image.getpixel((28, 8))) == ((0, 0, 0), WHITE)


@pytest.mark.parametrize("value", [0, 65_535])
def test_a_thermal_frame_of_one_value_is_readable(value: int) -> None:
    assert read_image(encoded(Image.fromarray(np.full((8, 8), value, np.uint16)), "PNG")).size == (8, 8)


def test_transparency_becomes_white() -> None:
    palette = Image.new("P", (4, 4), 0)
    palette.putpalette([*RED, *BLUE])
    assert read_image(encoded(palette, "PNG", transparency=0)).getpixel((1, 1)) == WHITE
    assert read_image(encoded(palette, "PNG", transparency=1)).getpixel((1, 1)) == RED
    half = read_image(encoded(Image.new("RGBA", (4, 4), (255, 0, 0, 128)), "PNG")).getpixel((1, 1))
    assert close_to(half, (255, 127, 127), by=2)


def test_the_first_picture_of_an_animation_counts() -> None:
    data = encoded(halves().quantize(4), "GIF", save_all=True, append_images=[halves(BLUE, RED).quantize(4)])
    assert close_to(read_image(data).getpixel((2, 8)), RED)


def test_a_cmyk_jpeg_has_its_colours() -> None:
    assert close_to(read_image(encoded(halves().convert("CMYK"), "JPEG", quality=95)).getpixel((4, 8)), RED, by=25)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_a_large_image_is_shrunk_to_no_less_than_is_wanted(kind: str) -> None:
    image = read_image(encoded(halves().resize((1600, 900)), kind), wanted_side=96)
    assert 96 <= min(image.size) < 900 / 2
    assert image.width / image.height == pytest.approx(16 / 9, rel=0.02)
    assert close_to(image.getpixel((2, 2)), RED)


def test_a_small_image_is_not_blown_up() -> None:
    assert read_image(encoded(halves(), "PNG"), wanted_side=96).size == (32, 16)


def test_a_decompression_bomb_is_refused_before_it_is_decoded() -> None:
    bomb = black_png(10_000, 8_000)
    assert len(bomb) < 20_000
    started = time.process_time()
    for refuse in (inspect_image, read_image):
        with pytest.raises(TooLarge, match="10000 × 8000 pixels is over the limit of 40,000,000"):
            refuse(bomb)
    assert time.process_time() - started < 0.5  # to decode it takes seconds


@pytest.mark.parametrize("size", [(50_000, 50_000), (20_000, 1), (1, 20_000)])
def test_monstrous_sizes_are_refused(size: tuple[int, int]) -> None:
    with pytest.raises(TooLarge):
        read_image(black_png(*size) if min(size) == 1 else _header_only(*size))


def _header_only(width: int, height: int) -> bytes:
    """A PNG that claims a size without having the pixels."""
    png = bytearray(black_png(8, 8))
    png[16:24] = struct.pack(">II", width, height)
    png[29:33] = struct.pack(">I", zlib.crc32(bytes(png[12:29])))
    return bytes(png)


def test_the_configured_limits_hold() -> None:
    limits = ImageLimits(max_bytes=1_024, max_pixels=10_000, max_side=256)
    read_image(black_png(100, 100), limits)
    with pytest.raises(TooLarge, match="1,024"):
        read_image(bytes(1_025), limits)
    for size in ((101, 100), (257, 10)):
        with pytest.raises(TooLarge, match=f"{size[0]} × {size[1]}"):
            inspect_image(black_png(*size), limits)


@pytest.mark.parametrize("data", [b"", b"GIF89a", b"<svg xmlns='x'/>", b"%PDF-1.7", b"\0" * 100])
def test_what_is_no_image_is_refused_with_the_formats_that_are_read(data: bytes) -> None:
    with pytest.raises(UnsupportedImage, match="PNG, JPEG, WebP"):
        inspect_image(data)


def test_formats_that_are_not_listed_are_not_read() -> None:
    for kind in ("PPM", "ICO", "EPS", "TGA"):
        with pytest.raises(UnsupportedImage):
            read_image(encoded(noise(), kind))


PNG = VALID["png"]
PLAIN = base64.b64encode(PNG).decode()


@pytest.mark.parametrize(
    "text",
    [
        PLAIN,
        f"data:image/png;base64,{PLAIN}",
        f"DATA:image/png;BASE64,{PLAIN}",
        f"data:;base64,{PLAIN}",
        f"data:image/svg+xml;charset=utf-8;base64,{PLAIN}",
        "\n".join(PLAIN[i : i + 76] for i in range(0, len(PLAIN), 76)),
        f"  {PLAIN}\r\n",
    ],
    ids=["plain", "data-url", "upper-case", "no-type", "parameter", "lines", "space"],
)
def test_base64_is_read_however_it_is_written(text: str) -> None:
    assert decode_base64(text) == PNG


@pytest.mark.parametrize(
    ("text", "kind", "message"),
    [
        (PLAIN[:-1], InvalidRequest, "not valid base64"),
        ("not base64!", InvalidRequest, "not valid base64"),
        ("ÿØÿà", InvalidRequest, "not valid base64"),
        ("data:image/png,rawbytes", InvalidRequest, "data:image/jpeg;base64"),
        ("data:image/png;base64", InvalidRequest, "data:image/jpeg;base64"),
        ("data:text/html;base64,PGI+", UnsupportedImage, "text/html"),
        ("data:application/pdf;base64,JVBE", UnsupportedImage, "application/pdf"),
    ],
)
def test_wrong_base64_is_refused_with_what_to_send(text: str, kind: type[RequestError], message: str) -> None:
    with pytest.raises(kind, match=message):
        decode_base64(text)


def test_base64_over_the_limit_is_refused_before_it_is_decoded() -> None:
    with pytest.raises(TooLarge):
        decode_base64("A" * 2_000, ImageLimits(max_bytes=1_024))


@given(st.text(max_size=80) | st.text(max_size=60).map("data:".__add__) | st.binary(max_size=60).map(str))
def test_any_text_is_decoded_or_refused_and_nothing_else(text: str) -> None:
    with contextlib.suppress(RequestError):
        assert isinstance(decode_base64(text), bytes)


@given(st.binary(max_size=200))
def test_what_was_encoded_comes_back(data: bytes) -> None:
    assert decode_base64(base64.b64encode(data).decode()) == data
