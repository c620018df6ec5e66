"""Citation markers in generated text: read them, check what they claim, write them."""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass

from lineside.analysis import sentences
from lineside.answering.support import SUPPORTED, SupportIndex, SupportResult
from lineside.schema import AnswerSentence, Citation

MARKER = re.compile(r"\[\s*\d{1,4}(?:\s*(?:[,;&]|-|–|and)\s*\d{1,4})*\s*\]")
"""`[1]`, `[1, 3]`, `[2-4]`."""
_OPEN_MARKER = re.compile(r"\[[\s\d,;&–-]*(?:a|an|and)?[\s\d]*$")
_NUMBERS = re.compile(r"(\d{1,4})(?:\s*[-–]\s*(\d{1,4}))?")
_SPACE_BEFORE_PUNCTUATION = re.compile(r"(?<!\s)\s+([.,;:!?])")
_LEAD = re.compile(
    r"^(?:(?:the\s+)?(?:correct\s+)?(?:answer|sentence)(?:\s+(?:to|that\s+answers)\s+(?:the|your|this)\s+question)?\s*"
    r"(?:is\s*:?|:)|a\s*:|(?:according\s+to|based\s+on)\s+(?:the|this)\s+(?:text|notes?)\s*[,:]|[-*•]\s+|\d{1,2}[.)]\s+(?=\w))"
    r"\s*[\"']?",
    re.IGNORECASE,
)
MAX_RANGE = 20


@dataclass(frozen=True, slots=True)
class Draft:
    """A sentence that is complete but not yet checked: its text without markers, and the numbers it cites."""

    text: str
    cited: tuple[int, ...]


def numbers_in(text: str) -> tuple[int, ...]:
    """The numbers that all markers of a text name, in order, once each."""
    found: dict[int, None] = {}
    for marker in MARKER.findall(text):
        for first, last in _NUMBERS.findall(marker):
            low, high = int(first), int(last or first)
            found.update(dict.fromkeys(range(low, min(high, low + MAX_RANGE) + 1)))
    return tuple(found)


def strip_markers(text: str) -> str:
    """The text without markers, white space collapsed."""
    previous = None
    while previous != text:  # "[[1]2]" leaves a marker behind when one is taken out
        previous, text = text, MARKER.sub(" ", text)
    return _SPACE_BEFORE_PUNCTUATION.sub(r"\1", " ".join(text.split()))


def neutralise(text: str) -> str:
    """The text with markers of its own written as (n), so that they cannot pass for citations."""
    previous = None
    while previous != text:
        previous, text = text, MARKER.sub(lambda m: f"({m.group()[1:-1].strip()})", text)
    return text


def draft(text: str) -> Draft | None:
    """One sentence with markers as a draft; None when it has no word."""
    plain = _LEAD.sub("", strip_markers(text)).strip()
    if plain.count('"') % 2:
        plain = plain.strip('"')
    return Draft(plain, numbers_in(text)) if any(c.isalpha() for c in plain) else None


class SentenceAssembler:
    """Turns a stream of text pieces into drafts; how the stream is cut makes no difference.

    A sentence leaves when the next one has begun, since only then is its end certain ("approx. 5 bar", "45.5 Nm").
    Markers that stand after a sentence's full stop belong to it.
    """

    def __init__(self) -> None:
        self._text = ""

    def feed(self, delta: str) -> list[Draft]:
        """Takes the next piece; gives the sentences that it completed."""
        self._text += delta
        unfinished = _OPEN_MARKER.search(self._text)
        certain = self._text[: unfinished.start()] if unfinished else self._text
        spans = sentences(_masked(certain))
        if len(spans) < 2:
            return []
        pieces = self._pieces([0, *(s.start for s in spans[1:])])
        self._text = self._text[spans[-1].start :]
        return pieces

    def flush(self) -> list[Draft]:
        """Ends the stream; gives what is left, an unfinished marker taken off."""
        self._text = _OPEN_MARKER.sub("", self._text)
        spans = sentences(_masked(self._text))
        pieces = self._pieces([0, *(s.start for s in spans[1:]), len(self._text)])
        self._text = ""
        return pieces

    def _pieces(self, cuts: Sequence[int]) -> list[Draft]:
        drafts = (draft(self._text[a:b]) for a, b in itertools.pairwise(cuts))
        return [d for d in drafts if d]


def _masked(text: str) -> str:
    """The text with every marker blanked, so that spans stay the same and "V1.[2] Open" has a sentence end."""
    return MARKER.sub(lambda m: " " * len(m.group()), text)


def attribute(sentence: Draft, index: SupportIndex) -> AnswerSentence | None:
    """The sentence with the citation that supports it, or None when nothing does.

    What it cites is checked first; where that does not support it, all evidence is searched (attribution after the
    fact, as in RARR, Gao et al. 2023).
    """
    cited = [n for n in sentence.cited if n in index.evidence]
    found = index.support(sentence.text, cited) if cited else SupportResult(0.0)
    if not found.supported:
        found = index.support(sentence.text)
    if found.score < SUPPORTED:
        return None
    return AnswerSentence(text=strip_markers(sentence.text), citations=(cite(found, index),))


def cite(found: SupportResult, index: SupportIndex) -> Citation:
    """The citation of a support; its quote is verbatim."""
    source = index.evidence[found.n]
    return Citation(n=found.n, evidence_id=source.id, quote=found.quote, support=found.score, url=source.url)


def render(answer: Sequence[AnswerSentence]) -> str:
    """The text of an answer: every sentence followed by its citations as `[n]`."""
    return " ".join(
        f"{neutralise(s.text)} {''.join(f'[{n}]' for n in sorted({c.n for c in s.citations}))}" for s in answer
    )


def without_repeats(answer: Sequence[AnswerSentence]) -> list[AnswerSentence]:
    """The sentences with exact repeats merged into the first, since small models loop."""
    kept: dict[str, AnswerSentence] = {}
    for s in answer:
        key = " ".join(s.text.casefold().split()).rstrip(".")
        if key in kept:
            known = kept[key].citations
            extra = tuple(c for c in s.citations if c.n not in {k.n for k in known})
            kept[key] = kept[key].model_copy(update={"citations": known + extra})
        else:
            kept[key] = s
    return list(kept.values())
