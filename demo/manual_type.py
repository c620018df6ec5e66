"""How text is set in the manuals: colours, paragraph styles, and a glyph for every character."""

from __future__ import annotations

import re
from xml.sax.saxutils import escape

from reportlab.lib import colors
from reportlab.lib.enums import TA_CENTER
from reportlab.lib.styles import ParagraphStyle

_INK = colors.HexColor("#1c2733")
ACCENT = colors.HexColor("#1f4e79")
MUTED = colors.HexColor("#4a5866")
RULE = colors.HexColor("#9aa7b4")
HEAD_FILL = colors.HexColor("#dde6ee")

# Characters outside the built-in fonts' code page that the Symbol font has.
_SYMBOLS = re.compile("([≤≥≈≠→←↑↓∆Ωαβφ√∞]+)")

BODY = ParagraphStyle("body", fontName="Helvetica", fontSize=10.5, leading=15.5, spaceAfter=7, textColor=_INK)
HEADINGS = {
    2: ParagraphStyle(
        "h2",
        parent=BODY,
        fontName="Helvetica-Bold",
        fontSize=15,
        leading=19,
        spaceBefore=12,
        spaceAfter=6,
        textColor=ACCENT,
    ),
    3: ParagraphStyle(
        "h3",
        parent=BODY,
        fontName="Helvetica-Bold",
        fontSize=12,
        leading=16,
        spaceBefore=8,
        spaceAfter=4,
    ),
}
TITLE = ParagraphStyle(
    "title",
    parent=BODY,
    fontName="Helvetica-Bold",
    fontSize=22,
    leading=27,
    textColor=ACCENT,
)
SUBTITLE = ParagraphStyle(
    "subtitle",
    parent=BODY,
    fontSize=10,
    leading=14,
    textColor=MUTED,
)
CELL = ParagraphStyle("cell", parent=BODY, fontSize=9, leading=12, spaceAfter=0)
CELL_HEAD = ParagraphStyle("cell-head", parent=CELL, fontName="Helvetica-Bold")
CAPTION = ParagraphStyle(
    "caption",
    parent=BODY,
    fontName="Helvetica-Oblique",
    fontSize=9,
    alignment=TA_CENTER,
)


def glyphs(text: str) -> str:
    """Text escaped for a paragraph, with the Symbol font for what the built-in fonts lack.

    Raises:
        ValueError: a character that neither has; it would print as a black box.
    """
    parts = []
    for piece in _SYMBOLS.split(text):
        if _SYMBOLS.fullmatch(piece):
            parts.append(f'<font face="Symbol">{piece}</font>')
            continue
        try:
            piece.encode("cp1252")
        except UnicodeEncodeError as error:
            raise ValueError(f"no glyph for {piece[error.start]!r} in {text[:60]!r}") from error
        parts.append(escape(piece))
    return "".join(parts)
