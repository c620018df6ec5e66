"""How many words an answer shares with a gold answer: token F1 and recall as the SQuAD evaluation counts them.

Rajpurkar et al. 2016, "SQuAD: 100,000+ questions for machine comprehension of text", section 6.1: lower case, without
punctuation and articles, tokens compared as a bag.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import NamedTuple

from lineside.analysis import fold

_TOKEN = re.compile(r"\w+")
_ARTICLES = frozenset(("a", "an", "the"))


class Overlap(NamedTuple):
    """Shares of common tokens, all in [0, 1]."""

    precision: float
    recall: float
    f1: float


def overlap(answer: str, gold: str) -> Overlap:
    """Common tokens of an answer and the gold answer; two empty texts agree."""
    given, wanted = _bag(answer), _bag(gold)
    if not given or not wanted:
        same = float(given == wanted)
        return Overlap(same, same, same)
    common = (given & wanted).total()
    precision, recall = common / given.total(), common / wanted.total()
    return Overlap(precision, recall, 2 * precision * recall / (precision + recall) if common else 0.0)


def _bag(text: str) -> Counter[str]:
    return Counter(token for token in _TOKEN.findall(fold(text)) if token not in _ARTICLES)
