"""What a claim may not do with the evidence it is aligned with, whatever its score: each guard names its objection.

In all of them `aligned` maps indices of the claim's tokens to indices of the window's; "" means no objection.
"""

from __future__ import annotations

from collections.abc import Sequence

from lineside.answering.claims import Statement, Token, word_key
from lineside.answering.lexicon import SENTENCE_WIDE
from lineside.answering.windows import SECOND, Window

BOUNDS = frozenset("<>≤≥")
"""Signs that begin the key of a bounded quantity."""
_ROW_LABELS = frozenset(word_key(w) for w in "cause meaning action remedy reason effect interval torque limit".split())


def subject_objection(ours: Sequence[Token], window: Window, aligned: dict[int, int], context: frozenset[str]) -> str:
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
    second = [j for j in used if theirs[j].scope >= SECOND]
    if second and theirs[start].scope < SECOND:
        place += [j for j in range(min(second)) if theirs[j].scope >= SECOND]
    for j in place:
        t = theirs[j]
        if j not in used and t.kind in ("word", "identifier") and t.key not in context and not _displaced(t.key, ours):
            return f"the evidence says this of something else: {t.key.lstrip('#')}"
    return ""


def scope_objection(claim: Statement, window: Window, aligned: dict[int, int]) -> str:
    """A negation, restriction, limit word or condition of the evidence that the claim leaves out."""
    theirs, ours = window.tokens, claim.tokens
    used = set(aligned.values())
    scopes = {theirs[j].scope for j in used}
    halves = {scope // SECOND for scope in scopes}
    for j, token in enumerate(theirs):
        if j in used:
            continue
        if token.kind == "negation" and token.scope in scopes:
            if _reaches(token, j, theirs, used):
                return f"the evidence says {token.key.lstrip('!')}"
        elif token.kind == "restriction" and (
            token.scope in scopes or (token.key in SENTENCE_WIDE and token.scope // SECOND in halves)
        ):
            return f"the evidence restricts this: {token.key.lstrip('!')}"
    first, last = min(used), max(used)
    ahead = theirs[first - 1] if first else None
    if ahead and ahead.kind == "polar" and ahead.clause == theirs[first].clause and not _displaced(ahead.key, ours):
        return f"the evidence limits this: {ahead.key}"
    if last + 1 < len(theirs):
        after = theirs[last + 1]
        if (after.key in ("maximum", "minimum") or after.key[0] in BOUNDS) and after.clause == theirs[last].clause:
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
        and any(t.conditional and t.scope // SECOND in halves for t in theirs)
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


def binding_objection(ours: Sequence[Token], theirs: Sequence[Token], aligned: dict[int, int]) -> str:
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


def modality_objection(ours: Sequence[Token], window: Window, aligned: dict[int, int]) -> str:
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
