"""Ranks the sentences of the evidence by how likely each is to answer the question, by a linear model over features.

What the search scored (words and meaning in common) is combined with what the question asks for: a value, a cause, a
ruling ... The weights were set by hand; a conditional logit fitted to 136 questions of two corpora, with a ridge
towards them, ranks no better on questions that it has not seen, and agrees in what counts.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from lineside.answering.questions import QuestionKind, read_question
from lineside.answering.traits import Facet, Traits, measures, states, term_keys, traits
from lineside.schema import Evidence, LabelVote
from lineside.search.contract import ScoredSentence, SearchResult
from lineside.search.question import asks_about_event

WEIGHTS: Mapping[str, float] = {
    "dense": 0.5,
    "coverage": 0.5,
    "neighbour": 0.05,
    "words": 0.2,
    "passage": 0.4,
    "heading": 0.12,
    "code_in_passage": 0.2,
    "code_in_row": 0.15,
    "other_row": -0.35,
    "defines": 0.25,
    "label": 0.4,
    "statement": 0.15,
    "quantity": 0.35,
    "part": 0.35,
    "nothing_new": -0.2,
    "caption": -0.3,
    "bare": -0.3,
    "about_document": -0.5,
    "incident": -0.2,
}
"""What is known of a sentence, from 0 to 1 (`statement`: how many), and what it counts.

`dense`, `coverage`: the search's score of the sentence. `neighbour`: the better of the sentences beside it. `words`:
share of the question's words in the sentence or its heading, by their rarity among the candidates. `passage`: its
passage's score, near 1 for the best only. `heading`: share of the question's words in the heading. `code_in_passage`,
`code_in_row`: codes of the question. `other_row`: a table's row without them where another row has them. `defines`:
the row of a code about which the question asks nothing else. `label`: how far the section speaks of what the image
shows. `statement`, `quantity`, `part`: it says what is asked for. `nothing_new`: it only repeats the question.
`caption`: no sentence's end. `bare`: too short. `about_document`: it says
what the document is about. `incident`: it is from a report on an event and the question is not about one: what was
wrong once is not what is right.
"""


_ASKED_OF_A_CODE = term_keys("mean meaning stand indicate explain command code error alarm fault warning message")
"""Words that ask what a code is and add nothing to it: "What does alarm E-452 mean?" """
_WEIGHED_ALONE = frozenset(("quantity", "part"))


@dataclass(frozen=True, slots=True)
class RankSettings:
    """`candidates`: sentences looked at, the best by the search's score. `label_share`: votes of an image to count."""

    candidates: int = 40
    label_share: float = 0.3


@dataclass(frozen=True, slots=True)
class RankedSentence:
    """A sentence of the evidence with its score for this question; `[start, end)` counts characters of its text.

    `facets` are the things asked for that it gives; the score counts them already.
    """

    evidence: int
    start: int
    end: int
    text: str
    score: float
    facets: frozenset[Facet]
    traits: Traits


def rank_sentences(
    result: SearchResult, question: str, settings: RankSettings = RankSettings()
) -> list[RankedSentence]:
    """The result's sentences, best first, repeats and bare headings left out."""
    found: dict[str, RankedSentence] = {}
    for candidate, features in describe(result, question, settings):
        score = sum(weight * value for weight, value in zip(WEIGHTS.values(), features, strict=True))
        key = " ".join(candidate.text.casefold().split())
        if key not in found or found[key].score < score:
            found[key] = RankedSentence(
                candidate.evidence,
                candidate.start,
                candidate.end,
                candidate.text,
                score,
                candidate.facets,
                candidate.traits,
            )
    return sorted(found.values(), key=lambda r: (-r.score, r.evidence, r.start))


_SAME_SECTION = 0.8
"""What a passage has of the score of the best one in its section."""
_PART_WHOLE = 0.6
_PART_WORDS = 1.2
_PART_HOME = 0.15
"""What a part of a question makes of a sentence's score for the whole, of the share of its own words, and of standing
in the section that answers the part before."""


def best_for_part(
    part: str, ranked: Sequence[RankedSentence], evidence: Mapping[int, Evidence], home: Evidence | None = None
) -> RankedSentence:
    """Of the sentences ranked for a whole question, the one that answers this part of it best.

    What the search scored is about the whole question; the part counts by its own words and by what it asks for.
    Where one section answered the part before (`home`), it is likely to answer this one.
    """
    kind, wanted = read_question(part), term_keys(part)
    headings = {n: _heading_keys(evidence[n]) for n in {r.evidence for r in ranked}}
    rarity = _rarity(wanted, [r.traits.keys | headings[r.evidence] for r in ranked])

    def score(r: RankedSentence) -> float:
        keys = r.traits.keys | headings[r.evidence]
        words = sum(share for word, share in rarity.items() if word in keys)
        own = _facets(r.text, r.traits, kind)
        at_home = home is not None and same_section(evidence[r.evidence], home)
        return _PART_WHOLE * (r.score - _worth(r.facets)) + _PART_WORDS * words + _worth(own) + _PART_HOME * at_home

    return max(ranked, key=score)


def best_for_parts(
    parts: Sequence[str], ranked: Sequence[RankedSentence], evidence: Mapping[int, Evidence]
) -> list[RankedSentence]:
    """The best sentence for each part of a question, in order."""
    found: list[RankedSentence] = []
    for part in parts:
        found.append(best_for_part(part, ranked, evidence, evidence[found[-1].evidence] if found else None))
    return found


def best_for_names(question: str, ranked: Sequence[RankedSentence], share: float) -> list[RankedSentence]:
    """Where a question names several things ("class B and class C"), the best sentence for each that the best lack.

    `share` of the best score is needed. A table says of each in a row of its own, so rows come first.
    """
    names = sorted(key for key in term_keys(question) if key[0] == "#")
    if len(names) < 2:
        return []
    worthy = [r for r in ranked if r.score >= share * ranked[0].score]
    found: list[RankedSentence] = []
    for name in names:
        naming = [r for r in worthy if name in r.traits.keys]
        rows = [r for r in naming if r.traits.row]
        given = [r for r in (ranked[0], *found) if name in r.traits.keys]
        if rows and not any(r.traits.row for r in given):
            found.append(rows[0])
        elif naming and not given:
            found.append(naming[0])
    return found


def same_section(one: Evidence, other: Evidence) -> bool:
    """Whether two passages belong to one section of one document."""
    return one.document_id == other.document_id and one.section_path == other.section_path


def _worth(facets: frozenset[Facet]) -> float:
    return sum(WEIGHTS[facet if facet in _WEIGHED_ALONE else "statement"] for facet in facets)


def describe(
    result: SearchResult, question: str, settings: RankSettings = RankSettings()
) -> list[tuple[RankedSentence, tuple[float, ...]]]:
    """The candidates, not scored yet, each with its features."""
    evidence = {e.n: e for e in result.evidence}
    scored = [s for s in result.sentences if s.evidence in evidence]
    if not scored:
        return []
    question_view = _QuestionView(result, question, settings)
    beside = _beside(scored)
    scored = sorted(scored, key=lambda s: -s.score - question_view.lift(s.evidence))[: settings.candidates]
    candidates = []
    for s in scored:
        source = evidence[s.evidence]
        text = source.text[s.start : s.end]
        seen = traits(text)
        if not _is_heading(text, seen, source):
            candidates.append((s, text, seen))
    question_view.compare([(s.evidence, seen) for s, _, seen in candidates])
    described = []
    for s, text, seen in candidates:
        facets = _facets(text, seen, question_view.kind)
        features = question_view.features(s, seen, facets, beside[s.evidence, s.start])
        described.append((RankedSentence(s.evidence, s.start, s.end, text, 0.0, facets, seen), features))
    return described


def _beside(scored: Sequence[ScoredSentence]) -> dict[tuple[int, int], float]:
    """Best score of the sentences next to each, within its passage."""
    placed = sorted(scored, key=lambda s: (s.evidence, s.start))
    found: dict[tuple[int, int], float] = {}
    for i, s in enumerate(placed):
        before = placed[i - 1].score if i and placed[i - 1].evidence == s.evidence else 0.0
        after = placed[i + 1].score if i + 1 < len(placed) and placed[i + 1].evidence == s.evidence else 0.0
        found[s.evidence, s.start] = max(before, after)
    return found


def _rarity(wanted: Iterable[str], candidates: Sequence[frozenset[str]]) -> dict[str, float]:
    """Word of the question -> its share of their weight, by how few candidates hold it (idf).

    A word that every candidate holds says nothing about which of them answers; one that none holds, neither.
    """
    counts = {word: sum(word in keys for keys in candidates) for word in wanted}
    weights = {word: math.log((len(candidates) + 1) / (count + 0.5)) for word, count in counts.items() if count}
    total = sum(weights.values())
    return {word: weight / total for word, weight in weights.items()} if total > 0 else {}


class _QuestionView:
    """What a question and the whole result say about each passage."""

    def __init__(self, result: SearchResult, question: str, settings: RankSettings) -> None:
        self.kind = read_question(question)
        self.wanted = term_keys(question)
        codes = frozenset(key for key in self.wanted if key.startswith("#"))
        passages = [e for e in result.evidence if e.kind == "passage"]
        self._headings = {e.n: _heading_keys(e) for e in passages}
        self._shown = _label_words(result.labels, settings.label_share)
        self._bodies = {e.n: term_keys(e.text) for e in passages} if codes or self._shown else {}
        self._codes = self._code_shares(codes)
        self._defined = codes if self.wanted <= codes | _ASKED_OF_A_CODE else frozenset()
        self._passage = _section_shares(passages)
        event = asks_about_event(question)
        self._incident = {e.n: float(e.document_kind == "incident" and not event) for e in passages}
        self._labelled = self._shown_shares(passages)
        self._rarity: Mapping[str, float] = {}
        self._row_has_code = False

    def compare(self, candidates: Sequence[tuple[int, Traits]]) -> None:
        """Takes notice of all candidates, given with their evidence, before `features` of the first."""
        nothing: frozenset[str] = frozenset()
        self._rarity = _rarity(self.wanted, [seen.keys | self._headings.get(n, nothing) for n, seen in candidates])
        self._row_has_code = any(seen.row and not seen.keys.isdisjoint(self._codes) for _, seen in candidates)

    def lift(self, n: int) -> float:
        """A first guess of what the passage adds to its sentences' scores."""
        return (
            WEIGHTS["passage"] * self._passage.get(n, 0.0)
            + WEIGHTS["label"] * self._labelled.get(n, 0.0)
            + WEIGHTS["code_in_passage"] * self._code_share(n)
            + WEIGHTS["heading"] * self._heading_share(n)
        )

    def features(
        self,
        s: ScoredSentence,
        seen: Traits,
        facets: frozenset[Facet],
        beside: float,
    ) -> tuple[float, ...]:
        """In the order of `WEIGHTS`."""
        n, keys = s.evidence, seen.keys
        heading = self._headings.get(n, frozenset())
        code = sum(share for name, share in self._codes.items() if name in keys)
        words = sum(share for word, share in self._rarity.items() if word in keys or word in heading)
        return (
            s.dense,
            s.coverage,
            beside,
            words,
            self._passage.get(n, 0.0),
            self._heading_share(n),
            self._code_share(n),
            code if seen.row else 0.0,
            float(seen.row and self._row_has_code and not code),
            float(not seen.named.isdisjoint(self._defined)),
            self._labelled.get(n, 0.0),
            float(len(facets - _WEIGHED_ALONE)),
            float("quantity" in facets),
            float("part" in facets),
            float(len(keys - self.wanted) < 2),
            float(seen.caption),
            float(seen.bare),
            float(seen.about_document and not self.kind.document),
            self._incident.get(n, 0.0),
        )

    def _heading_share(self, n: int) -> float:
        return len(self._headings.get(n, frozenset()) & self.wanted) / len(self.wanted) if self.wanted else 0.0

    def _code_share(self, n: int) -> float:
        if not self._codes:
            return 0.0
        keys = self._bodies.get(n, frozenset()) | self._headings.get(n, frozenset())
        return sum(share for name, share in self._codes.items() if name in keys)

    def _code_shares(self, codes: Iterable[str]) -> dict[str, float]:
        """Code of the question -> its share of their weight, by its rarity among the passages (idf).

        In "P-102 shows P-E31" the pump is named on every page, the code in one row: the code says where the answer is.
        The shares of codes that are on every page add up to less than 1.
        """
        held = [self._bodies[n] | self._headings[n] for n in self._bodies]
        rarity = {c: math.log((len(held) + 1) / (0.5 + sum(c in keys for keys in held))) for c in codes}
        total = max(sum(rarity.values()), math.log((len(held) + 1) / 1.5))
        return {c: value / total for c, value in rarity.items()} if total > 0 else {}

    def _shown_shares(self, passages: Sequence[Evidence]) -> dict[int, float]:
        """How far the section of each passage speaks of what the image shows, 1 for the one that does most.

        A word counts by its rarity among the passages (idf), twice in a heading.
        """
        if not self._shown:
            return {}
        bodies, headings = self._bodies, self._headings
        rarity = {
            word: weight * math.log((len(bodies) + 1) / (0.5 + sum(word in bodies[n] | headings[n] for n in bodies)))
            for word, weight in self._shown.items()
        }
        sections: dict[tuple[str | None, tuple[str, ...]], float] = {}
        for e in passages:
            count = sum(w * ((word in bodies[e.n]) + 2.0 * (word in headings[e.n])) for word, w in rarity.items())
            place = (e.document_id, e.section_path)
            sections[place] = max(sections.get(place, 0.0), count)
        most = max(sections.values(), default=0.0)
        if most <= 0:
            return {}
        return {e.n: max(0.0, sections[e.document_id, e.section_path] / most) ** 2 for e in passages}


def _section_shares(passages: Sequence[Evidence]) -> dict[int, float]:
    """Near 1 for the best passage only; what follows it in its section, cut off by length alone, counts little less."""
    top = max((e.score for e in passages), default=0.0)
    own = {e.n: (e.score / top) ** 4 if 0 < e.score <= top else 0.0 for e in passages}
    sections: dict[tuple[str | None, tuple[str, ...]], float] = {}
    for e in passages:
        place = (e.document_id, e.section_path)
        sections[place] = max(sections.get(place, 0.0), own[e.n])
    return {e.n: max(own[e.n], _SAME_SECTION * sections[e.document_id, e.section_path]) for e in passages}


def _label_words(labels: Iterable[LabelVote], share: float) -> dict[str, float]:
    """Words for what the image most likely shows -> weight; the label's own words count more than its caption's."""
    found: dict[str, float] = {}
    for vote in labels:
        if vote.share >= share:
            found |= dict.fromkeys(term_keys(vote.caption), 1.0)
            found |= dict.fromkeys(term_keys(vote.label.replace("-", " ").replace("_", " ")), 3.0)
    return found


def _heading_keys(source: Evidence) -> frozenset[str]:
    return term_keys(" . ".join(dict.fromkeys((source.title, *source.section_path))))


def _facets(text: str, seen: Traits, kind: QuestionKind) -> frozenset[Facet]:
    """Which of the things asked for a sentence gives."""
    facets = {facet for facet in kind.says if states(text, facet)}
    if kind.cause and states(text, "meaning"):
        facets.add("cause")
    if kind.quantity:
        measured = measures(text)
        if kind.units & measured or (measured and not kind.units) or ("time" in kind.units and states(text, "time")):
            facets.add("quantity")
    if kind.part and any(key.startswith("#") and key not in kind.identifiers for key in seen.keys):
        facets.add("part")
    return frozenset(facets)


def _is_heading(text: str, seen: Traits, source: Evidence) -> bool:
    plain = text.strip().casefold()
    if plain in {title.casefold() for title in (*source.section_path, source.title)}:
        return True
    return seen.words < 4 and seen.caption and not any(c.isdigit() or c in ":;" for c in plain)
