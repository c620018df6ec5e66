"""Line drawings (SVG) as pictures: shapes, paths, text and arrowheads, drawn by PDFium, which is here for PDFs anyway.

The subset of SVG 1.1 that drawing programs write for technical figures: gradients become grey; images, filters, clips
and style sheets are left out. Nothing outside the file is ever read.
"""

from __future__ import annotations

import ctypes
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pypdfium2
import pypdfium2.raw as pdfium
from lxml import etree
from PIL import ImageColor

from ingest.images import EncodedImage, encode_png
from ingest.limits import ParseLimits
from ingest.pdfium_lock import PDFIUM
from ingest.svg_path import Curve, Matrix, path_curves, shape_curves, transform_of
from lineside.errors import ParseError

_INHERITED = frozenset(
    "fill stroke stroke-width stroke-dasharray font-size font-weight text-anchor visibility fill-opacity "
    "stroke-opacity marker-start marker-end".split()
)
_SKIPPED = frozenset(
    "defs marker metadata clipPath mask pattern title desc style script filter symbol linearGradient radialGradient "
    "image foreignObject namedview".split()
)
_NUMBER = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?")
_MAX_ELEMENTS = 20_000
_MAX_DEPTH = 60
_GREY = (200, 200, 200)
_TARGET_SIDE_PX = 1_000
_XLINK = "{http://www.w3.org/1999/xlink}href"

Element = Any  # lxml's element class is not a public type
Style = Mapping[str, str]


@dataclass(slots=True)
class _Drawing:
    """A PDF page in the making."""

    document: pypdfium2.PdfDocument
    page: pypdfium2.PdfPage
    by_id: dict[str, Element]
    drawn: int = 0

    def walk(self, element: Element, matrix: Matrix, inherited: Style, depth: int) -> None:
        """Draw an element and what is inside it."""
        if not isinstance(element.tag, str):
            return
        name = etree.QName(element).localname
        self.drawn += 1
        if name in _SKIPPED or self.drawn > _MAX_ELEMENTS or depth > _MAX_DEPTH:
            return
        style = _style(element, inherited)
        if style.get("display") == "none":
            return
        matrix = matrix.then(transform_of(element.get("transform") or ""))
        if name == "use":
            target = self.by_id.get((element.get(_XLINK) or element.get("href") or "").removeprefix("#"))
            if target is not None:
                moved = matrix.then(Matrix(1, 0, 0, 1, _length(element.get("x")), _length(element.get("y"))))
                self.walk(target, moved, style, depth + 8)
        elif name == "text":
            self.text(element, matrix, style)
        elif style.get("visibility") != "hidden":
            curves = path_curves(element.get("d") or "") if name == "path" else shape_curves(name, element.get)
            self.shape(curves, matrix, style, depth)
        if name in ("svg", "g", "a", "switch"):
            for child in element:
                self.walk(child, matrix, style, depth + 1)

    def shape(self, curves: list[Curve], matrix: Matrix, style: Style, depth: int) -> None:
        """A path with its fill, outline and arrowheads."""
        if not curves:
            return
        fill = _colour(style.get("fill", "black"), style.get("fill-opacity"))
        stroke = _colour(style.get("stroke", "none"), style.get("stroke-opacity"))
        width = _length(style.get("stroke-width"), 1.0)
        if fill or stroke:
            self._insert_path(curves, matrix, fill, stroke, style, width)
        for key, at_end in (("marker-start", False), ("marker-end", True)):
            marker = self.by_id.get(style.get(key, "").removeprefix("url(#").rstrip(")"))
            if stroke and marker is not None and depth < _MAX_DEPTH - 8:
                self._arrowhead(marker, curves, at_end, matrix, width, depth)

    def _insert_path(
        self,
        curves: list[Curve],
        matrix: Matrix,
        fill: tuple[int, int, int] | None,
        stroke: tuple[int, int, int] | None,
        style: Style,
        width: float,
    ) -> None:
        path = pdfium.FPDFPageObj_CreateNewPath(*matrix.point(*curves[0].points[0]))
        for curve in curves:
            points = [value for point in curve.points for value in matrix.point(*point)]
            if curve.kind == "M":
                pdfium.FPDFPath_MoveTo(path, *points)
            elif curve.kind == "L":
                pdfium.FPDFPath_LineTo(path, *points)
            elif curve.kind == "C":
                pdfium.FPDFPath_BezierTo(path, *points)
            else:
                pdfium.FPDFPath_Close(path)
        if fill:
            pdfium.FPDFPageObj_SetFillColor(path, *fill, 255)
        if stroke:
            pdfium.FPDFPageObj_SetStrokeColor(path, *stroke, 255)
            pdfium.FPDFPageObj_SetStrokeWidth(path, max(width * matrix.scale, 0.2))
            dashes = [float(n) * matrix.scale for n in _NUMBER.findall(style.get("stroke-dasharray", ""))][:8]
            if dashes and min(dashes) >= 0 and sum(dashes) > 0:
                pdfium.FPDFPageObj_SetDashArray(path, (ctypes.c_float * len(dashes))(*dashes), len(dashes), 0.0)
        mode = pdfium.FPDF_FILLMODE_WINDING if fill else pdfium.FPDF_FILLMODE_NONE
        pdfium.FPDFPath_SetDrawMode(path, mode, bool(stroke))
        pdfium.FPDFPage_InsertObject(self.page.raw, path)

    def _arrowhead(
        self, marker: Element, curves: list[Curve], at_end: bool, matrix: Matrix, width: float, depth: int
    ) -> None:
        points = [point for curve in curves for point in curve.points]
        if len(points) < 2:
            return
        (x, y), other = (points[-1], points[-2]) if at_end else (points[0], points[1])
        angle = math.atan2(y - other[1], x - other[0]) if at_end else math.atan2(other[1] - y, other[0] - x)
        if marker.get("orient", "").replace(".", "", 1).isdigit():
            angle = math.radians(float(marker.get("orient")))
        unit = 1.0 if marker.get("markerUnits") == "userSpaceOnUse" else width
        cos, sin = math.cos(angle) * unit, math.sin(angle) * unit
        placed = matrix.then(Matrix(cos, sin, -sin, cos, x, y))
        placed = placed.then(Matrix(1, 0, 0, 1, -_length(marker.get("refX")), -_length(marker.get("refY"))))
        for child in marker:
            self.walk(child, placed, {}, depth + 8)

    def text(self, element: Element, matrix: Matrix, style: Style) -> None:
        """Every piece of text at its own place; pieces without one follow where the last began."""
        x, y = _length(element.get("x")), _length(element.get("y"))
        for content, node in _text_pieces(element):
            own = _style(node, style) if node is not element else style
            x, y = _length(node.get("x"), x), _length(node.get("y"), y)
            line = " ".join(content.split())
            colour = _colour(own.get("fill", "black"), own.get("fill-opacity"))
            if not line or colour is None:
                continue
            bold = own.get("font-weight", "") in ("bold", "600", "700", "800", "900")
            size = min(max(_length(own.get("font-size"), 16.0), 0.1), 2_000.0)
            font = b"Helvetica-Bold" if bold else b"Helvetica"
            item = pdfium.FPDFPageObj_NewTextObj(self.document.raw, font, size)
            encoded = (line + "\0").encode("utf-16-le", "replace")
            buffer = (ctypes.c_ushort * (len(encoded) // 2)).from_buffer_copy(encoded)
            pdfium.FPDFText_SetText(item, buffer)
            edges = [ctypes.c_float() for _ in range(4)]
            pdfium.FPDFPageObj_GetBounds(item, *edges)
            length = edges[2].value - edges[0].value
            shift = {"middle": 0.5, "end": 1.0}.get(own.get("text-anchor", ""), 0.0) * length
            placed = matrix.then(Matrix(1, 0, 0, -1, x - shift, y))
            pdfium.FPDFPageObj_Transform(item, placed.a, placed.b, placed.c, placed.d, placed.e, placed.f)
            pdfium.FPDFPageObj_SetFillColor(item, *colour, 255)
            pdfium.FPDFPage_InsertObject(self.page.raw, item)
            x += length


def render_svg(data: bytes, limits: ParseLimits) -> EncodedImage:
    """An SVG file as PNG on white, its longer side about 1000 pixels.

    Raises: ParseError when it is not SVG or has no size.
    """
    if len(data) > limits.max_image_bytes:
        raise ParseError(f"the drawing has {len(data)} bytes, over the limit of {limits.max_image_bytes}: simplify it")
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False)
    try:
        root = etree.fromstring(data, parser)
    except (etree.XMLSyntaxError, ValueError) as error:
        raise ParseError(f"the drawing is damaged ({error}): export it again, or as PNG") from error
    if etree.QName(root).localname != "svg":
        raise ParseError("not an SVG drawing: export it again, or as PNG")
    left, top, width, height = _view(root)
    side = min(_TARGET_SIDE_PX, limits.max_figure_side_px)
    # The page has the picture's size in points, so that PDFium never sees extreme coordinates.
    scale = side / max(width, height)
    page_width, page_height = max(width * scale, 1.0), max(height * scale, 1.0)
    with PDFIUM:
        document = pypdfium2.PdfDocument.new()
        try:
            page = document.new_page(page_width, page_height)
            by_id = {str(node.get("id")): node for node in root.iter() if node.get("id")}
            drawing = _Drawing(document, page, by_id)
            drawing.walk(root, Matrix(scale, 0, 0, -scale, -left * scale, page_height + top * scale), {}, 0)
            page.gen_content()
            picture = page.render(scale=1.0).to_pil().convert("RGB")
        except (pypdfium2.PdfiumError, ctypes.ArgumentError) as error:
            raise ParseError(f"the drawing cannot be drawn ({error}): export it as PNG") from error
        finally:
            document.close()
    return encode_png(picture, limits)


def _view(root: Element) -> tuple[float, float, float, float]:
    """(left, top, width, height) of what the drawing shows, in its own units."""
    box = [float(n) for n in _NUMBER.findall(root.get("viewBox") or "")]
    if len(box) != 4:
        box = [0.0, 0.0, _length(root.get("width")), _length(root.get("height"))]
    left, top, width, height = box
    if not (0 < width < 1e6 and 0 < height < 1e6 and 0.01 < width / height < 100):
        raise ParseError("the drawing has no usable size: give it a viewBox, or export it as PNG")
    return left, top, width, height


def _length(value: str | None, default: float = 0.0) -> float:
    """A length in user units (96 to the inch); the first where several are given."""
    match = re.match(r"\s*(" + _NUMBER.pattern + r")\s*(mm|cm|in|pt|pc|px)?", value or "")
    if not match:
        return default
    factor = {"mm": 96 / 25.4, "cm": 96 / 2.54, "in": 96.0, "pt": 96 / 72, "pc": 16.0}.get(match.group(2) or "", 1.0)
    return max(-1e6, min(1e6, float(match.group(1)) * factor))


def _style(element: Element, inherited: Style) -> dict[str, str]:
    style = {name: value for name, value in inherited.items() if name in _INHERITED}
    style.update(
        {str(name): str(value) for name, value in element.attrib.items() if name in _INHERITED or name == "display"}
    )
    for part in (element.get("style") or "").split(";"):
        name, _, value = part.partition(":")
        style[name.strip()] = value.strip()
    return style


def _colour(value: str, opacity: str | None) -> tuple[int, int, int] | None:
    """Red, green, blue; None where nothing is painted."""
    if value in ("none", "transparent", "") or (opacity and _length(opacity, 1.0) < 0.05):
        return None
    if value.startswith("url"):
        return _GREY
    try:
        return ImageColor.getrgb(value)[:3]
    except ValueError:
        return (0, 0, 0)


def _text_pieces(element: Element) -> Iterator[tuple[str, Element]]:
    for node in element.iter():
        if isinstance(node.tag, str):
            yield node.text or "", node
        if node is not element:
            yield node.tail or "", node.getparent()
