"""What a question is made of for search: weighted terms, identifiers, and what the knowledge has never heard of."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise, takewhile

from lineside.analysis import (
    STOP_WORDS,
    fold,
    identifier_parts,
    referenced_numbers,
    stem,
    terms,
    terms_beside_identifiers,
)
from lineside.search.lexical_index import LexicalIndex
from lineside.search.settings import LexicalSettings

# Words that shape a question and not its subject: "how long", "what do I need", "belongs to". Passages that answer it
# have no need of them, so they say nothing about whether a passage covers the question.
_FRAME = frozenset(
    stem(word)
    for word in (
        "much many long far often fast quick quickly soon tight wide heavy big large high low deep thick strong "
        "hard bad badly may might shall get gets got do done go goes gone come comes came say says said tell tells "
        "want wants need needs put show shows look looks seem seems happen happens now please kind sort thing way "
        "know find found give gives take takes keep let make makes use used mean means right ok okay wrong else "
        "still back up down out off over again after before between exactly actually really new set order belong "
        "like nothing something anything somebody everybody allowed permitted first next then well ever yet"
    ).split()
)


# Words that point at the image: once it is recognised they would only find passages about cameras.
_POINTING = frozenset(
    stem(word)
    for word in "picture image photo photograph frame camera cameras shows shown showing see seen look looks".split()
)


_EVENT = re.compile(
    r"\b(?:did|was|were|had|happened|went|incidents?|reports?|yesterday|earlier|(?:19|20)\d\d"
    r"|last (?:night|week|month|year|shift|time)"
    # A past tense that asks for who or what did it: "What made P-101 spin backwards?"
    r"|(?:what|who|which \w+) (?:made|led|broke|burst|found|set|let|(?!need|feed|speed|bleed|indeed)\w{2,}ed)"
    r"|january|february|march|april|june|july|august|september|october|november|december)\b",
    re.IGNORECASE,
)


def asks_about_event(text: str) -> bool:
    """Whether a question is about something that happened, not about what is right or what to do."""
    return _EVENT.search(text) is not None


def content_terms(text: str) -> list[str]:
    """The distinct terms that a passage should have in common with a question; all of them where only frame is left."""
    return _content(dict.fromkeys(terms(text)))


# A sentence that tells, in front of one that asks. It is tried where one begins: at every letter it took the square of
# the question's length.
_TOLD = re.compile(r"(?<![^.?!])[^.?!]*[^.?!\s][.!](?=\s)")


def asking_part(text: str) -> str:
    """The question without the sentences that only tell what has happened; all of it where none or each of them tells.

    "We send a man in tomorrow. How cool must the roof be?": passages that answer it need not know of tomorrow.
    """
    return _TOLD.sub(" ", text).strip() if text.rstrip().endswith("?") else text


# "Which PLC controls ...", "what kind of resin ...": what is asked for is among the next words; of "what is the
# efficiency of ..." it stands before the preposition.
_ASKED_FOR = re.compile(
    r"\bwhat (?:is|are|was|were) (?:the|an?)((?: [^\W\d_]+){1,4}?) (?:of|for|in|on|at|behind|under|between)\b"
    r"|\b(?:which|what|how many)(?: (?:kinds?|types?|sorts?) of)?((?: [^\W\d_]+){1,3})",
    re.IGNORECASE,
)


def asked_things(text: str) -> frozenset[str]:
    """Terms of the thing that a question asks for by name; empty where it names none ("How tight ...?")."""
    asked: set[str] = set()
    for described, named in _ASKED_FOR.findall(text):
        words = takewhile(lambda word: word not in STOP_WORDS, fold(named).split())
        asked.update(stem(word) for word in (*words, *fold(described).split()[-2:]))
    return frozenset(asked)


_WORD_OR_BREAK = re.compile(r"[^\W_]+|[?.,;:!]")


def neighbours(text: str) -> list[tuple[str, str]]:
    """Terms of words that stand side by side: of "burst pressure of the oil tank" burst and pressure, oil and tank.

    Many are compounds, which a text that answers the question is likely to name in one sentence.
    """
    words = _WORD_OR_BREAK.findall(fold(text))
    pairs = ((a, b) for a, b in pairwise(words) if a not in STOP_WORDS and b not in STOP_WORDS)
    return [(stem(a), stem(b)) for a, b in pairs if a[0].isalnum() and b[0].isalnum() and stem(a) != stem(b)]


def _content(distinct: Iterable[str]) -> list[str]:
    found = list(distinct)
    return [term for term in found if term not in _FRAME] or found


@dataclass(frozen=True, slots=True)
class QuestionTerms:
    """Terms of a question with weights for scoring; ids are the lexical index's.

    `weights`: term id -> weight of the lexical score, context and label terms included.
    `idf`: term id -> idf of the question's known content terms; `idf_total` counts its unknown ones too.
    `identifiers`: term id -> idf of the identifiers among them. `unknown`: content terms that occur in no searched row.
    `unknown_mass`: the idf that terms seen nowhere would have, summed over them. `identifier_mass`: idf of all
    identifiers, unknown ones included. `missing_identifiers`: unknown identifiers, without their mark.
    `identifier_share`: share of the known identifiers in the idf of what is known, their letters and digits left out: 1
    for "What does M104 do?". `asked`: ids of content terms of the thing asked for; -1 for an unknown one. `neighbours`:
    ids of content terms that stand side by side, unknown ones left out, each pair with the lesser idf of both;
    `neighbour_mass`: the sum of these, pairs with unknown terms included.
    """

    weights: dict[int, float]
    idf: dict[int, float]
    idf_total: float
    identifiers: dict[int, float]
    identifier_mass: float
    unknown_mass: float
    unknown: tuple[str, ...]
    missing_identifiers: tuple[str, ...]
    identifier_share: float = 0.0
    asked: frozenset[int] = frozenset()
    neighbours: tuple[tuple[int, int, float], ...] = ()
    neighbour_mass: float = 0.0


def question_terms(
    text: str,
    context: str,
    captions: Sequence[tuple[str, float]],
    index: LexicalIndex,
    span: tuple[int, int],
    settings: LexicalSettings,
    pointing_weight: float = 1.0,
    *,
    for_answer: bool = True,
) -> QuestionTerms:
    """Analyses a question against the rows `[span)`; captions of voted labels come with their weights.

    `for_answer`: also what only the estimate needs whether there is an answer (`asked`, `neighbours`).
    """
    counts = _counted(text, index, span)
    references = set(referenced_numbers(text))
    content = set(_content(counts))
    part = asking_part(text)
    asked = content if part == text else set(terms(part))  # the analysis costs: not twice for most questions
    weights: dict[int, float] = {}
    idf: dict[int, float] = {}
    identifiers: dict[int, float] = {}
    unknown: list[str] = []
    missing: list[str] = []
    total = 0.0
    known_as: dict[str, tuple[int, float]] = {}  # content term -> its id, -1 for none, and idf
    for term, count in counts.items():
        term_id = index.term_ids.get(term)
        is_identifier = term.startswith("#") or term in references
        if term_id is None or not index.occurs(term_id, span):
            if term not in content or (term not in asked and not is_identifier):
                continue
            unknown.append(term.removeprefix("#"))
            total += index.unseen_idf
            known_as[term] = -1, index.unseen_idf
            if term.startswith("#"):
                missing.append(term.removeprefix("#"))
            continue
        term_idf = float(index.idf[term_id])
        weights[term_id] = count * (settings.identifier_boost if is_identifier else 1.0)
        if term in _POINTING and captions:
            weights[term_id] *= pointing_weight
            term_idf *= pointing_weight
        if term not in content:
            continue
        idf[term_id] = term_idf
        known_as[term] = term_id, term_idf
        total += term_idf
        if is_identifier:
            identifiers[term_id] = term_idf
    beside = terms_beside_identifiers(text) if identifiers else set()
    words = sum(value for t, value in idf.items() if t not in identifiers and index.terms[t] in beside)
    known = sum(identifiers.values())
    things = asked_things(text) if for_answer else frozenset()
    beside_each_other = [
        (known_as[a][0], known_as[b][0], min(known_as[a][1], known_as[b][1]))
        for a, b in (neighbours(text) if for_answer else ())
        if a in known_as and b in known_as
    ]
    for term, weight in (*_context_weights(context, index, settings), *_caption_weights(captions)):
        term_id = index.term_ids.get(term)
        if term_id is not None:
            weights[term_id] = weights.get(term_id, 0.0) + weight
    return QuestionTerms(
        weights=weights,
        idf=idf,
        idf_total=total,
        identifiers=identifiers,
        identifier_mass=known + len(missing) * index.unseen_idf,
        unknown_mass=len(unknown) * index.unseen_idf,
        unknown=tuple(unknown),
        missing_identifiers=tuple(missing),
        identifier_share=known / (known + words) if known else 0.0,
        asked=frozenset(known_as[term][0] for term in things if term in known_as),
        neighbours=tuple(pair for pair in beside_each_other if min(pair[:2]) >= 0),
        neighbour_mass=sum(mass for _, _, mass in beside_each_other),
    )


def _counted(text: str, index: LexicalIndex, span: tuple[int, int]) -> Counter[str]:
    """Terms with their counts; an identifier that occurs nowhere gives way to its parts where all of them do.

    Where only some do, they are searched for, and it stays unknown: a machine F1 says nothing of a code F1-E999.
    """
    counts = Counter(terms(text))
    for term in [t for t in counts if t.startswith("#") and not _occurs(t, index, span)]:
        parts = {f"#{part}" for part in identifier_parts(text, term[1:])}
        if found := {part for part in parts if _occurs(part, index, span)}:
            if found == parts:
                del counts[term]
            counts.update(found)
    return counts


def _occurs(term: str, index: LexicalIndex, span: tuple[int, int]) -> bool:
    term_id = index.term_ids.get(term)
    return term_id is not None and index.occurs(term_id, span)


def _context_weights(context: str, index: LexicalIndex, settings: LexicalSettings) -> list[tuple[str, float]]:
    """The rarest known terms of the context: a log names its codes, and its chatter must not drown the question."""
    if not context or not settings.context_terms_max:
        return []
    found = {t: float(index.idf[i]) for t in set(terms(context)) if (i := index.term_ids.get(t)) is not None}
    rarest = sorted(found, key=lambda t: (not t.startswith("#"), -found[t], t))[: settings.context_terms_max]
    return [
        (t, settings.context_identifier_weight if t.startswith("#") else settings.context_word_weight) for t in rarest
    ]


def _caption_weights(captions: Iterable[tuple[str, float]]) -> list[tuple[str, float]]:
    return [(term, weight) for caption, weight in captions for term in set(terms(caption))]
