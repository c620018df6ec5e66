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
- a negation that reaches aligned words, and a restriction ("unless", "only") on them, is kept; so are "may" and "if";
- a bare number keeps the noun it counts.

Guards make the measure conservative on purpose: a paraphrase that cannot be verified word by word counts as
unsupported, and the extractive answer takes its place. Verifying after generation follows RARR (Gao et al. 2023,
"Researching and revising what language models say"); requiring a citation per sentence, ALCE (Gao et al. 2023,
"Enabling large language models to generate text with citations").
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from lineside.analysis import sentences
from lineside.answering.claims import Statement, Token, state, word_key
from lineside.answering.lexicon import ACTIONS, RELATIONS, SENTENCE_WIDE
from lineside.schema import Evidence

SUPPORTED = 0.7
"""A claim counts as supported from this score on."""
_CONTEXT_CREDIT = 0.75
_DISPLACED_CREDIT = 0.5
_DISPLACED_REACH = 4
_ADJACENT = 0.05  # prefers the alignment with fewer gaps among equally heavy ones
_BOUNDS = frozenset("<>≤≥")
_ROW_LABELS = frozenset(word_key(w) for w in "cause meaning action remedy reason effect interval torque limit".split())
_RELATIONS = RELATIONS | {word_key(word) for word in ("because", "cause", "before", "after")}
_SECOND = 1_000
"""What is added to clauses and scopes of the second sentence of a window."""
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
class Window:
    """One sentence or two adjacent ones of a text, `[start, end)`, as tokens; `variants` reorder if-clauses."""

    start: int
    end: int
    tokens: tuple[Token, ...]
    keys: frozenset[str]
    row: bool
    instruction: bool


@dataclass(frozen=True, slots=True)
class Noted:
    """The windows of one evidence and the words of its headings."""

    n: int
    text: str
    windows: tuple[Window, ...]
    context: frozenset[str]


def _window(start: int, end: int, tokens: tuple[Token, ...], statements: Sequence[Statement]) -> Window:
    row = all(s.row for s in statements)
    instruction = all(s.instruction for s in statements)
    return Window(start, end, tokens, frozenset(t.key for t in tokens), row, instruction)


def _shifted(tokens: Iterable[Token], clauses: int) -> tuple[Token, ...]:
    return tuple(replace(t, clause=t.clause + clauses, scope=t.scope + clauses) for t in tokens)


@lru_cache(maxsize=4_096)
def windows_of(text: str) -> tuple[Window, ...]:
    """All windows of a text, single sentences first."""
    spans = sentences(text)
    stated = [state(text[s.start : s.end]) for s in spans]
    found: list[Window] = []
    for span, statement in zip(spans, stated, strict=True):
        found.append(_window(span.start, span.end, statement.tokens, (statement,)))
        if statement.rotation:
            tokens = statement.tokens[statement.rotation :] + statement.tokens[: statement.rotation]
            found.append(_window(span.start, span.end, tokens, (statement,)))
    for i in range(len(spans) - 1):
        first, second = stated[i], stated[i + 1]
        # Rows of a table say each their own: two of them together would say of one code what stands at the next.
        if first.tokens and second.tokens and not (first.row or second.row):
            tokens = first.tokens + _shifted(second.tokens, _SECOND)
            found.append(_window(spans[i].start, spans[i + 1].end, tokens, (first, second)))
    return tuple(found)


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
        _subject_objection(ours, window, aligned, context)
        or _scope_objection(claim, window, aligned)
        or _binding_objection(ours, theirs, aligned)
        or _modality_objection(ours, window, aligned)
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
        (t.kind in _UNSKIPPABLE or t.key[0] in _BOUNDS) and t.clause in (first, last) for t in theirs[left + 1 : right]
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


def _subject_objection(ours: Sequence[Token], window: Window, aligned: dict[int, int], context: frozenset[str]) -> str:
    """What the evidence says of something else: a word of the headings stands in that thing's place, or, of two
    sentences, the second is told of what the first is about.

    Headings may name more closely what a sentence speaks of, and "It must ..." goes on about the same thing.
    """
    theirs, used = window.tokens, set(aligned.values())
    start = min(used)
    borrowed = [i for i, t in enumerate(ours) if t.kind == "word" and t.key in context - window.keys]
    if window.row:
        place = [j for j, t in enumerate(theirs) if t.clause == 0][1:] if borrowed else []
    elif borrowed and borrowed[0] < min(aligned):
        place = [j for j in range(start) if theirs[j].clause == theirs[start].clause]
    else:
        place = []
    second = [j for j in used if theirs[j].scope >= _SECOND]
    if second and theirs[start].scope < _SECOND:
        place += [j for j in range(min(second)) if theirs[j].scope >= _SECOND]
    for j in place:
        t = theirs[j]
        if j not in used and t.kind in ("word", "identifier") and t.key not in context and not _displaced(t.key, ours):
            return f"the evidence says this of something else: {t.key.lstrip('#')}"
    return ""


def _scope_objection(claim: Statement, window: Window, aligned: dict[int, int]) -> str:
    """A negation, restriction, limit word or condition of the evidence that the claim leaves out."""
    theirs, ours = window.tokens, claim.tokens
    used = set(aligned.values())
    scopes = {theirs[j].scope for j in used}
    halves = {scope // _SECOND for scope in scopes}
    for j, token in enumerate(theirs):
        if j in used:
            continue
        if token.kind == "negation" and token.scope in scopes:
            if _reaches(token, j, theirs, used):
                return f"the evidence says {token.key.lstrip('!')}"
        elif token.kind == "restriction" and (
            token.scope in scopes or (token.key in SENTENCE_WIDE and token.scope // _SECOND in halves)
        ):
            return f"the evidence restricts this: {token.key.lstrip('!')}"
    first, last = min(used), max(used)
    ahead = theirs[first - 1] if first else None
    if ahead and ahead.kind == "polar" and ahead.clause == theirs[first].clause and not _displaced(ahead.key, ours):
        return f"the evidence limits this: {ahead.key}"
    if last + 1 < len(theirs):
        after = theirs[last + 1]
        if (after.key in ("maximum", "minimum") or after.key[0] in _BOUNDS) and after.clause == theirs[last].clause:
            return f"the evidence limits this: {after.key}"
    if window.row:
        return _row_objection(claim, theirs, used)
    if any(theirs[j].conditional for j in used):
        if claim.conditional:
            crossed = [i for i, j in aligned.items() if theirs[j].conditional != ours[i].conditional]
            if len(crossed) > 0:
                return "condition and consequence are exchanged"
        elif not claim.marked:
            return "states a condition as a fact"
    elif (
        not claim.marked
        and not claim.instruction
        and any(t.conditional and t.scope // _SECOND in halves for t in theirs)
    ):
        return "leaves the condition out"
    return ""


def _row_objection(claim: Statement, theirs: Sequence[Token], used: set[int]) -> str:
    """A cell of a table row that is told as a fact of its own, without what the row is about."""
    if claim.instruction or any(theirs[j].clause == 0 or theirs[j].key in _ROW_LABELS for j in used):
        return ""
    return "does not say what the table row is about"


def _displaced(key: str, ours: Sequence[Token]) -> bool:
    return any(t.key == key for t in ours)


def _reaches(negation: Token, at: int, theirs: Sequence[Token], used: set[int]) -> bool:
    """Whether a negation of the evidence bears on aligned words: all of its scope; "without" only what follows."""
    inside = [j for j in used if theirs[j].scope == negation.scope]
    if negation.key in ("!without", "!avoid", "!prevent", "!lack", "!non"):
        return any(j > at for j in inside) or max(inside) == at - 1
    return bool(inside)


def _binding_objection(ours: Sequence[Token], theirs: Sequence[Token], aligned: dict[int, int]) -> str:
    """A bare number that counts something else in the evidence."""
    for i, j in aligned.items():
        token = ours[i]
        if token.kind != "quantity" or token.rival != "=":
            continue
        left = i > 0 and aligned.get(i - 1, -9) in (j - 1, j - 2)
        right = i + 1 < len(ours) and aligned.get(i + 1, -9) in (j + 1, j + 2)
        if not (left or right):
            return f"the number counts something else: {token.key}"
    return ""


def _modality_objection(ours: Sequence[Token], window: Window, aligned: dict[int, int]) -> str:
    """What is permitted, advised, required or not required told as something else.

    An instruction may be told as a duty ("Tighten the bolts": "The bolts must be tightened"), but as no permission.
    """
    for i, j in aligned.items():
        said, stated = ours[i].modality, window.tokens[j].modality
        if said == stated:
            continue
        if stated in ("may", "need not"):
            return f"the evidence says {stated}"
        if said == "need not" or (said == "may" and (stated or window.instruction)):
            return f"the evidence does not say {said}"
        if said == "must" and stated == "should":
            return "the evidence says should"
    return ""
