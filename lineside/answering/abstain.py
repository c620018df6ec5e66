"""Whether to answer at all, and how to say that the knowledge holds no answer."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from lineside.analysis import fold
from lineside.answering.attributes import unstated
from lineside.answering.claims import state
from lineside.answering.quantities import QUANTITY
from lineside.answering.questions import QuestionKind, read_question
from lineside.schema import LabelVote
from lineside.search.contract import SearchResult, Signals

Cause = Literal[
    "unknown_identifier",
    "nothing_relevant",
    "known_unanswered",
    "quantity_not_stated",
    "attribute_not_stated",
    "no_evidence",
]


@dataclass(frozen=True, slots=True)
class AbstainSettings:
    """Bars on `Signals.answerability`, a calibrated probability.

    Below `bar` the answer abstains. Between `bar` and `sure_bar` it abstains when a second sign speaks against an
    answer: no sentence states a quantity of the kind asked for, or one of several identifiers is unknown. An image that
    is recognised (`image_share` of the votes at least) lowers both bars by `image_relief`, since the question's words
    then carry only part of the question; a question that points at it ("what is this?") is always tried. A refusal
    names the known question that it rests on where one is as near as `known_cosine`.
    """

    bar: float = 0.24
    sure_bar: float = 0.5
    image_share: float = 0.5
    image_relief: float = 0.2
    known_cosine: float = 0.8


@dataclass(frozen=True, slots=True)
class Abstention:
    """Why there is no answer: `cause` for programs, `reason` and `text` for people."""

    cause: Cause
    reason: str
    text: str


def decide(result: SearchResult, question: str, settings: AbstainSettings = AbstainSettings()) -> Abstention | None:
    """None where an answer should be tried, else why not."""
    signals, kind = result.signals, read_question(question)
    carried = image_carries(result.labels, settings)
    relief = settings.image_relief if carried else 0.0
    if not result.evidence:
        return _abstention("no_evidence", "nothing in the searched knowledge matches the filters", result, signals)
    missing = tuple(m for m in signals.missing_identifiers if not _is_quantity(m))
    known = len(kind.identifiers) - len(missing)
    unsure = signals.answerability < settings.sure_bar - relief
    if missing and not carried and (known <= 0 or unsure):
        named = ", ".join(_as_written(m, question) for m in missing)
        verb = "does not occur" if len(missing) == 1 else "do not occur"
        return _abstention("unknown_identifier", f"{named} {verb} in the searched knowledge", result, signals)
    asked_for = unstated(question, (e.text for e in result.evidence if e.kind == "passage"))
    if asked_for is not None:
        return _abstention("attribute_not_stated", f"no passage found states a {asked_for.name}", result, signals)
    if carried and kind.shown:
        return None
    if signals.answerability < settings.bar - relief:
        near = signals.known
        if near is not None and not near.answered and near.cosine >= settings.known_cosine:
            return _abstention("known_unanswered", f"“{near.text}” was looked up before, in vain", result, signals)
        return _abstention("nothing_relevant", "no passage is close enough to the question", result, signals)
    if unsure and kind.quantity and kind.units and not states_quantity(result, kind):
        asked = " or ".join(sorted(kind.units))
        return _abstention(
            "quantity_not_stated", f"no passage found states a value of this kind ({asked})", result, signals
        )
    return None


def image_carries(labels: Sequence[LabelVote], settings: AbstainSettings = AbstainSettings()) -> bool:
    """Whether the image is recognised clearly enough to stand for part of the question."""
    return any(v.share >= settings.image_share for v in labels)


def states_quantity(result: SearchResult, kind: QuestionKind) -> bool:
    """Whether any scored sentence of the result has a quantity of a kind that the question asks for."""
    texts = {e.n: e.text for e in result.evidence}
    for scored in result.sentences:
        statement = state(texts.get(scored.evidence, "")[scored.start : scored.end])
        if any(t.kind == "quantity" and t.rival.removeprefix("=") in kind.units for t in statement.tokens):
            return True
        if "time" in kind.units and re.search(
            r"\b(?:daily|weekly|monthly|yearly|shift|every)\b",
            texts.get(scored.evidence, "")[scored.start : scored.end],
        ):
            return True
    return False


def _is_quantity(identifier: str) -> bool:
    """Whether what looks like an identifier is a number with its unit ("45nm")."""
    match = QUANTITY.fullmatch(identifier)
    return match is not None and match["low_unit"] is not None


def _as_written(identifier: str, question: str) -> str:
    """The identifier as the question spells it ("E-999" for "e999")."""
    words: list[str] = re.findall(r"[^\s,;?!()\"]+", question)
    for word in words:
        if re.sub(r"[^\w]", "", fold(word)) == re.sub(r"[^\w]", "", identifier):
            return word.rstrip(".:'")
    return identifier.upper()


def _abstention(cause: Cause, reason: str, result: SearchResult, signals: Signals) -> Abstention:
    passages = [e for e in result.evidence if e.kind == "passage"]
    searched = f"Searched release {result.release}"
    titles = list(dict.fromkeys(e.title for e in passages if e.title))[:3]
    if titles:
        searched += "; closest were " + ", ".join(f"“{t}”" for t in titles)
    unknown = [t for t in signals.unknown_terms if t not in signals.missing_identifiers][:3]
    if unknown:
        searched += "; not found anywhere: " + ", ".join(unknown)
    text = f"The manuals do not answer this: {reason}. {searched}."
    return Abstention(cause, reason, text)
