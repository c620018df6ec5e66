"""Line drawings come out as the picture that a browser would show."""

from __future__ import annotations

import io
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from ingest.limits import DEFAULT_LIMITS
from ingest.svg import render_svg
from ingest.svg_path import path_curves, transform_of
from lineside.errors import ParseError

RED, BLUE, WHITE = (255, 0, 0), (0, 0, 255), (255, 255, 255)


def _draw(body: str, attributes: str = 'viewBox="0 0 100 50"') -> Image.Image:
    svg = (
        f'<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" {attributes}>{body}</svg>'
    )
    return Image.open(io.BytesIO(render_svg(svg.encode(), DEFAULT_LIMITS).data)).convert("RGB")


def _at(picture: Image.Image, x: float, y: float) -> tuple[int, int, int]:
    pixel = picture.getpixel((int(x * picture.width / 100), int(y * picture.height / 50)))
    assert isinstance(pixel, tuple)
    return pixel[0], pixel[1], pixel[2]


def test_shapes_stand_where_their_transforms_put_them() -> None:
    picture = _draw(
        '<rect x="10" y="10" width="20" height="10" style="fill:#f00"/>'
        '<g transform="translate(50,0) scale(2)" fill="blue"><circle cx="10" cy="10" r="5"/></g>'
    )
    assert picture.size == (1000, 500)
    assert _at(picture, 20, 15) == RED
    assert _at(picture, 20, 25) == WHITE
    assert _at(picture, 70, 20) == BLUE
    assert _at(picture, 70, 31) == WHITE


def test_a_view_box_with_an_offset_moves_the_drawing() -> None:
    picture = _draw('<rect x="200" y="100" width="50" height="50" fill="red"/>', 'viewBox="200 100 100 50"')
    assert _at(picture, 25, 25) == RED
    assert _at(picture, 75, 25) == WHITE


def test_outlines_use_and_groups_inherit_style() -> None:
    picture = _draw(
        '<defs><path id="p" d="M0 0 H40"/></defs><g stroke="red" stroke-width="6" fill="none">'
        '<use xlink:href="#p" x="30" y="25"/></g>'
    )
    assert _at(picture, 50, 25) == RED
    assert _at(picture, 20, 25) == WHITE


def test_text_is_upright_and_anchored() -> None:
    picture = _draw('<text x="50" y="40" font-size="30" text-anchor="middle">LL</text>').convert("L")
    dark = [(x, y) for x in range(0, 1000, 5) for y in range(0, 500, 5) if (picture.getpixel((x, y)) or 0) < 100]  # type: ignore[operator]
    assert dark
    assert abs(sum(x for x, _ in dark) / len(dark) - 500) < 80
    assert sum(y > 300 for _, y in dark) > sum(y < 250 for _, y in dark)  # the foot of an L is below


def test_hidden_things_and_what_lies_outside_the_file_are_left_out() -> None:
    picture = _draw(
        '<rect width="100" height="50" fill="red" display="none"/>'
        '<image xlink:href="file:///etc/hostname" width="100" height="50"/>'
        '<use xlink:href="#none"/><text x="1" y="1">&#x0;</text>'.replace("&#x0;", "")
    )
    assert picture.getextrema() == ((255, 255),) * 3


def test_relative_smooth_and_arc_commands_end_where_they_should() -> None:
    curves = path_curves("m10,10 l5,0 c0,5 5,5 5,0 s5,-5 5,0 q5,5 10,0 t10,0 a5,5 0 0 1 10,0 v5 h-3 z")
    ends = [curve.points[-1] for curve in curves if curve.points]
    expected = [(10, 10), (15, 10), (20, 10), (25, 10), (35, 10), (45, 10)]
    assert ends[:6] == [pytest.approx(point) for point in expected]
    assert ends[-3] == pytest.approx((55, 10))
    assert ends[-2:] == [pytest.approx((55, 15)), pytest.approx((52, 15))]


@given(st.floats(0.1, 50), st.floats(-180, 180))
def test_an_arc_keeps_its_distance_from_the_centre(radius: float, turn: float) -> None:
    curves = path_curves(f"M {-radius} 0 A {radius} {radius} {turn} 0 1 {radius} 0")
    for curve in curves[1:]:
        x, y = curve.points[-1]
        assert math.hypot(x, y) == pytest.approx(radius, rel=1e-3)


def test_transforms_apply_from_the_right() -> None:
    assert transform_of("translate(10,0) rotate(90) scale(2)").point(1, 0) == pytest.approx((10, 2))
    assert transform_of("rotate(180, 5, 5)").point(0, 0) == pytest.approx((10, 10))


@pytest.mark.parametrize(
    ("svg", "message"),
    [
        (b"<svg", "damaged"),
        (b"<html/>", "not an SVG"),
        (b'<svg xmlns="http://www.w3.org/2000/svg"/>', "no usable size"),
        (b'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 1 100000"/>', "no usable size"),
    ],
)
def test_what_cannot_be_drawn_says_why(svg: bytes, message: str) -> None:
    with pytest.raises(ParseError, match=message):
        render_svg(svg, DEFAULT_LIMITS)


@settings(max_examples=150, deadline=None)
@given(
    st.text("MmLlHhVvCcSsQqTtAaZz0123456789.,- e", max_size=60),
    st.text("matrixtranslatescalerotateskewX(),.0123456789- e", max_size=30),
    st.text("0123456789.-e%px ", max_size=8),
)
def test_any_path_transform_and_length_is_drawn_or_left_out(d: str, transform: str, length: str) -> None:
    _draw(f'<path d="{d}" transform="{transform}" stroke="red" stroke-width="{length}" stroke-dasharray="{length}"/>')


def test_drawings_that_use_themselves_come_to_an_end() -> None:
    _draw('<g id="a"><use xlink:href="#a"/><use xlink:href="#a"/></g>')
