"""Facts about a thing that have no paraphrase: price, warranty, maker, telephone number. They are named or not stated.

A manual that describes a motor in every detail matches "What does the motor cost?" in all but the one word that is
asked for. Similarity cannot tell, so this word, or one that stands for it, must occur where the answer is taken from.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Attribute:
    """What is asked for: its name, how a question asks, how a text states it."""

    name: str
    asked: re.Pattern[str]
    stated: re.Pattern[str]


def _attribute(name: str, asked: str, stated: str = "") -> Attribute:
    return Attribute(name, re.compile(rf"\b(?:{asked})\b", re.I), re.compile(rf"\b(?:{stated or asked})\b", re.I))


ATTRIBUTES: tuple[Attribute, ...] = (
    _attribute(
        "price",
        r"costs?(?! (?:us )?in )|prices?|priced|expensive|cheap(?:er|est)?|budget|how much money",
        r"prices?|priced|costs? (?:about )?(?:eur|usd|gbp|[€$£])|eur|euros?|usd|dollars?|gbp|pounds sterling|[€$£]",
    ),
    _attribute("discount", r"discounts?|rebates?"),
    _attribute("warranty", r"warrant(?:y|ies)|guarantees?|guaranteed"),
    _attribute(
        "maker",
        r"who (?:made|makes|built|builds|supplied|supplies|manufactured|manufactures|designed|invented|sells|sold)"
        r"|(?:which|what) (?:company|firm|manufacturer|maker|supplier|vendor|brand|make)",
        r"company|firm|manufacturers?|makers?|suppliers?|vendors?|brand|(?:made|built|supplied|manufactured) by",
    ),
    _attribute("delivery time", r"delivery times?|lead times?|how (?:soon|quickly) .{0,40}deliver(?:ed|y)?"),
    _attribute("insurance", r"insur(?:ance|ed|es?)"),
    _attribute("pay", r"salar(?:y|ies)|wages?|hourly pay|earn(?:s|ed)?"),
    _attribute(
        "telephone number", r"(?<!mobile )(?:tele)?phone(?: number)?|e-?mail(?: address)?|call number|extension number"
    ),
    _attribute("serial number", r"serial (?:number|no)"),
    _attribute("customer", r"(?:which|what|whose) (?:customer|client|buyer)s?", r"customers?|clients?|buyers?"),
    _attribute("software version", r"(?:software|firmware|program) (?:version|release)"),
    _attribute("year of manufacture", r"(?:in )?(?:which|what) year", r"(?:19|20)\d\d"),
)


def unstated(question: str, passages: Iterable[str]) -> Attribute | None:
    """The first attribute that a question asks for and none of the passages states; None where all are stated."""
    asked = [attribute for attribute in ATTRIBUTES if attribute.asked.search(question)]
    if not asked:
        return None
    texts = list(passages)
    return next((a for a in asked if not any(a.stated.search(text) for text in texts)), None)
