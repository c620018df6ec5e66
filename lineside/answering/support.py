"""How far a sentence is supported by evidence: the check that stands between a language model and the reader.

A claim is compared with windows of the evidence: every sentence (a table row is one) and every two adjacent ones that
are no rows.

    support = (sum of w over aligned tokens + 0.75 * sum of w over tokens found in title or section
               + 0.5 * w of at most one displaced word) / sum of w over the claim's tokens

The alignment is the heaviest common subsequence of stemmed content tokens, as in ROUGE-L and ROUGE-W (Lin 2004,
"ROUGE: a package for automatic evaluation of summaries"), with the claim as the side that must be covered and with
information weights w: 3 for a quantity, identifier, negation or word with an opposite, 1 + min(letters, 10)/10 for
other words, 0.5 for framing ("the manual states"). A claim is supported from `SUPPORTED` on, and only if no guard
objects:

- every quantity (number, unit, bound), identifier, negation, restriction and word with an opposite of the claim stands
  in the alignment, so in the same order; every other content word stands in the window or its headings;
- between two aligned tokens the alignment may not skip a negation, a word with an opposite or a rival (another
  identifier of the same kind, another quantity of the same kind), nor go to another clause of the evidence unless the
  claim begins a clause there too;
- a negation that reaches aligned words, and a restriction ("unless", "only") on them, is kept; so is "if";
- a bare number keeps the noun it counts;
- what is permitted, advised, required or not required stays so;
- a word of the headings may name a thing more closely, not take its place, and the second of two sentences is not told
  of what the first is about.

`tests/answering/test_adversarial_claims.py` measures what each class of false claims lets through.

Guards make the measure conservative on purpose: a paraphrase that cannot be verified word by word counts as
unsupported, and the extractive answer takes its place. Verifying after generation follows RARR (Gao et al. 2023,
"Researching and revising what language models say"); requiring a citation per sentence, ALCE (Gao et al. 2023,
"Enabling large language models to generate text with citations").
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from lineside.answering.claims import Statement, Token, state, word_key
from lineside.answering.guards import BOUNDS, binding_objection, modality_objection, scope_objection, subject_objection
from lineside.answering.lexicon import ACTIONS, RELATIONS
from lineside.answering.windows import Window, windows_of
from lineside.schema import Evidence

SUPPORTED = 0.7
"""A claim counts as supported from this score on."""
_CONTEXT_CREDIT = 0.75
_DISPLACED_CREDIT = 0.5
_DISPLACED_REACH = 4
_ADJACENT = 0.05  # prefers the alignment with fewer gaps among equally heavy ones
_RELATIONS = RELATIONS | {word_key(word) for word in ("because", "cause", "before", "after")}
_UNSKIPPABLE = frozenset(("negation", "restriction", "polar"))


@dataclass(frozen=True, slots=True)
class SupportResult:
    """`score` in [0, 1]; the quote is characters `[start, end)` of evidence `n`; `reasons` say what is amiss."""

    score: float
    n: int = 0
    start: int = 0
    end: int = 0
    quote: str = ""
    reasons: tuple[str, ...] = ()

    @property
    def supported(self) -> bool:
        return self.score >= SUPPORTED


@dataclass(frozen=True, slots=True)
class Noted:
    """The windows of one evidence and the words of its headings."""

    n: int
    text: str
    windows: tuple[Window, ...]
    context: frozenset[str]


class SupportIndex:
    """The evidence of one answer, ready for checking many claims."""

    def __init__(self, evidence: Sequence[Evidence]) -> None:
        self._noted = {
            e.n: Noted(e.n, e.text, windows_of(e.text), _context_keys(" . ".join((e.title, *e.section_path))))
            for e in evidence
        }
        self.evidence = {e.n: e for e in evidence}

    def support(self, claim: str, among: Iterable[int] | None = None) -> SupportResult:
        """The best support for one sentence, among the evidence with these numbers (all when None)."""
        numbers = self._noted.keys() if among is None else among
        return _best(state(claim), claim, [self._noted[n] for n in numbers if n in self._noted])


def support(claim: str, *evidence_texts: str, context: str = "") -> SupportResult:
    """Support of one sentence by plain texts, numbered from 1; `context` is a heading that holds for all of them."""
    keys = _context_keys(context)
    return _best(state(claim), claim, [Noted(i, t, windows_of(t), keys) for i, t in enumerate(evidence_texts, 1)])


@lru_cache(maxsize=4_096)
def _context_keys(heading: str) -> frozenset[str]:
    return frozenset(t.key for t in state(heading).tokens if t.kind in ("word", "identifier", "framing"))


def _best(claim: Statement, text: str, noted: Sequence[Noted]) -> SupportResult:
    content = [t for t in claim.tokens if t.kind != "framing"]
    if len(content) < 2:
        return SupportResult(0.0, reasons=("says nothing that could be checked",))
    best = SupportResult(0.0)
    fewest: tuple[str, ...] = ()
    hard = {t.key for t in claim.tokens if t.hard}
    needed = {t.key for t in content}
    for note in noted:
        for window in note.windows:
            absent = needed - window.keys
            if absent and (
                not absent <= note.context or (absent & hard and not _inherits(absent & hard, claim, window))
            ):
                shared = needed & window.keys
                if len(shared) * 2 > len(needed) and (not fewest or len(absent) < len(fewest)):
                    fewest = tuple(f"not in the evidence: {key.lstrip('#!')}" for key in sorted(absent))
                continue
            score, reason = _align(claim, window, note.context)
            if score > best.score:
                best = SupportResult(score, note.n, window.start, window.end, note.text[window.start : window.end])
                if score >= 1.0:
                    return best
            elif reason and not best.score:
                fewest = (reason,)
    if best.score < SUPPORTED:
        return SupportResult(best.score, reasons=best.reasons or fewest or ("no sentence of the evidence is close",))
    return best


def _inherits(keys: set[str], claim: Statement, window: Window) -> bool:
    """Whether hard tokens may come from the heading: identifiers only, where the window names none in their place.

    A table's row names what it is about itself: a heading's "P-101 to P-104" is none of its cells.
    """
    if window.row:
        return False
    said = {t.key for t in claim.tokens}
    others = any(t.kind == "identifier" and t.key not in said for t in window.tokens)
    return all(k.startswith("#") for k in keys) and not others


def _align(claim: Statement, window: Window, context: frozenset[str]) -> tuple[float, str]:
    """Score of a claim against one window, and the guard that objects where the score is 0."""
    theirs, ours = window.tokens, claim.tokens
    kinds = {t.rival for t in ours if t.kind in ("quantity", "identifier")}
    barred = [0]
    for t in theirs:
        rival = t.kind in ("quantity", "identifier") and t.rival in kinds
        barred.append(barred[-1] + rival)
    pairs = _chain(claim, window, barred)
    aligned = dict(pairs)
    total = credit = 0.0
    displaced: list[int] = []
    for i, token in enumerate(ours):
        if token.kind == "framing" and i not in aligned:
            continue
        total += token.weight
        if i in aligned:
            credit += token.weight
        elif token.key in window.keys:
            displaced.append(i)
        elif token.key in context and token.key not in _RELATIONS:
            credit += _CONTEXT_CREDIT * token.weight
        else:
            return 0.0, f"not in the evidence: {token.key}"
    if len(aligned) < 2 and not (len(aligned) == 1 and displaced):
        return 0.0, "too little in common with a sentence of the evidence"
    for i in displaced:
        allowed = window.row and not ours[i].hard and _undenied(ours[i].key, theirs, aligned)
        if not allowed and (len(displaced) > 1 or not _near(i, ours, theirs, aligned, barred)):
            return 0.0, f"stands in another place in the evidence: {ours[i].key.lstrip('#!')}"
        credit += _DISPLACED_CREDIT * ours[i].weight
    objection = (
        subject_objection(ours, window, aligned, context)
        or scope_objection(claim, window, aligned)
        or binding_objection(ours, theirs, aligned)
        or modality_objection(ours, window, aligned)
    )
    if objection:
        return 0.0, objection
    return (min(1.0, credit / total), "") if total else (0.0, "")


def _chain(claim: Statement, window: Window, barred: Sequence[int]) -> list[tuple[int, int]]:
    """Heaviest chain of equal tokens, both indices rising, that skips nothing it may not skip."""
    theirs, ours = window.tokens, claim.tokens
    places: dict[str, list[int]] = {}
    for j, token in enumerate(theirs):
        places.setdefault(token.key, []).append(j)
    cells = [(i, j) for i, token in enumerate(ours) for j in places.get(token.key, ())]
    best: list[float] = []
    back: list[int] = []
    for p, (i, j) in enumerate(cells):
        value, previous = 0.0, -1
        for q in range(p):
            qi, qj = cells[q]
            if qi >= i or qj >= j:
                continue
            candidate = best[q] + (_ADJACENT if qj == j - 1 else 0.0)
            if (
                candidate > value
                and (qj == j - 1 or (barred[j] == barred[qj + 1] and _may_skip(theirs, qj, j)))
                and _same_step(ours, theirs, qi, i, qj, j, window.row)
            ):
                value, previous = candidate, q
        best.append(value + ours[i].weight)
        back.append(previous)
    if not cells:
        return []
    at = max(range(len(cells)), key=best.__getitem__)
    chain = []
    while at >= 0:
        chain.append(cells[at])
        at = back[at]
    return chain[::-1]


def _may_skip(theirs: Sequence[Token], left: int, right: int) -> bool:
    """Whether the tokens strictly between two aligned ones may be left out: whole clauses may, opposites may not."""
    first, last = theirs[left].clause, theirs[right].clause
    return not any(
        (t.kind in _UNSKIPPABLE or t.key[0] in BOUNDS) and t.clause in (first, last) for t in theirs[left + 1 : right]
    )


def _same_step(ours: Sequence[Token], theirs: Sequence[Token], qi: int, i: int, qj: int, j: int, row: bool) -> bool:
    """Whether claim and evidence go to a new clause together."""
    return row or theirs[qj].clause == theirs[j].clause or ours[qi].clause != ours[i].clause


def _undenied(key: str, theirs: Sequence[Token], aligned: dict[int, int]) -> bool:
    """Whether a word stands in a cell of a row that denies nothing which the claim leaves out."""
    used = set(aligned.values())
    denied = {t.scope for j, t in enumerate(theirs) if t.kind in ("negation", "restriction") and j not in used}
    return any(t.key == key and t.scope not in denied for t in theirs)


def _near(
    i: int, ours: Sequence[Token], theirs: Sequence[Token], aligned: dict[int, int], barred: Sequence[int]
) -> bool:
    """Whether one displaced word stands close to its place: "the bolts are tightened" for "tighten the bolts"."""
    if (ours[i].hard and ours[i].key not in ACTIONS) or ours[i].key in RELATIONS:
        return False
    expected = [aligned[k] for k in _neighbours(i, ours) if k in aligned]
    for j, token in enumerate(theirs):
        if token.key != ours[i].key or j in aligned.values():
            continue
        for other in expected:
            low, high = sorted((j, other))
            if high - low <= _DISPLACED_REACH and theirs[other].clause == token.clause:
                between = theirs[low + 1 : high]
                if barred[high] == barred[low + 1] and not any(t.kind in _UNSKIPPABLE for t in between):
                    return True
    return False


def _neighbours(i: int, tokens: Sequence[Token]) -> Iterator[int]:
    """The nearest tokens before and after one that say something: "bolts" in "the bolts must be tightened"."""
    for side in (range(i - 1, -1, -1), range(i + 1, len(tokens))):
        nearest = next((k for k in side if tokens[k].kind not in ("framing", "negation")), None)
        if nearest is not None:
            yield nearest
