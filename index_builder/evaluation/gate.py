"""The bar that a release must pass before it is promoted: retrieval quality on questions of the data team.

The questions are a question set (`lineside.evaluation.questions`: gold sections, any of which answers) or a folder in
BEIR layout, whose `corpus.jsonl` is not read: its judgements name documents of the release by source path, by document
id, or sections as `path#section title`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from index_builder.evaluation.beir import qrels_file, read_qrels, read_queries
from lineside.encoders import TextEncoder
from lineside.errors import BelowBar, DataError
from lineside.evaluation.questions import GoldSection, read_questions
from lineside.evaluation.ranking_metrics import RankingScores, mean_scores, score_ranking
from lineside.schema import Evidence
from lineside.search import ReleaseIndex, SearchQuery

_PASSAGES_READ = 100
_BATCH = 32


class Bars(BaseModel):
    """What must be reached; a bar that is None is not set."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    min_ndcg: float | None = Field(None, ge=0, le=1, description="nDCG@10")
    min_recall: float | None = Field(None, ge=0, le=1, description="recall@10")


class GateReport(BaseModel):
    """What was measured; it reached the bars. `left_out`: questions with a frame, and those without an answer."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    release: int
    questions: int
    left_out: int
    ndcg_at_10: float
    recall_at_10: float
    mrr: float


def check_bars(ndcg: float, recall: float, bars: Bars) -> None:
    """Raises BelowBar, naming every bar that is missed."""
    measured = (("nDCG@10", ndcg, bars.min_ndcg), ("recall@10", recall, bars.min_recall))
    missed = [f"{name} {value:.4f} is below the bar {bar:g}" for name, value, bar in measured if bar and value < bar]
    if missed:
        raise BelowBar("; ".join(missed))


def check_release(
    index: ReleaseIndex,
    encoder: TextEncoder,
    questions: Path,
    bars: Bars,
    *,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> GateReport:
    """Measures an opened release with its own search settings on a question file, a folder of them, or a BEIR folder.

    Raises:
        BelowBar: a bar is missed: the release is not to be promoted.
        DataError: the questions are malformed, none can be used, or their judgements name nothing in the release.
    """
    asked, left_out = _read(questions)
    if not asked:
        raise DataError(f"{questions} holds no question that can be judged without a frame")
    vectors = encoder.encode([a.text for a in asked])
    scores: list[RankingScores] = []
    named = False
    for start in range(0, len(asked), _BATCH):
        part = asked[start : start + _BATCH]
        queries = [
            SearchQuery(a.text, text_vector=vector, family=a.family, k=_PASSAGES_READ, k_images=0)
            for a, vector in zip(part, vectors[start:], strict=False)
        ]
        for a, result in zip(part, index.search_batch(queries), strict=True):
            ranking = list(dict.fromkeys(a.name_of(e) for e in result.evidence if e.kind == "passage"))
            named |= any(name in a.grades for name in ranking)
            scores.append(score_ranking(ranking, a.grades))
        progress(len(scores), len(asked))
    if not named:
        raise DataError(
            f"the judgements of {questions} name no document that search finds in release {index.release}: "
            "write source paths or document ids of the release"
        )
    mean = mean_scores(scores)
    check_bars(mean.ndcg_at_10, mean.recall_at_10, bars)
    return GateReport(
        release=index.release,
        questions=len(asked),
        left_out=left_out,
        ndcg_at_10=mean.ndcg_at_10,
        recall_at_10=mean.recall_at_10,
        mrr=mean.mrr,
    )


_GOLD = "\0gold"


@dataclass(frozen=True, slots=True)
class _Asked:
    """A question, what is relevant to it, and how a passage is named among that."""

    text: str
    family: str | None
    grades: Mapping[str, int]
    gold: Sequence[GoldSection] = ()

    def name_of(self, passage: Evidence) -> str:
        """The judged name of the passage's section or document; else the document's id."""
        if self.gold:
            return _GOLD if any(g.holds(passage) for g in self.gold) else passage.id
        document = passage.document_id or passage.id
        sections = (f"{passage.source}#{title}" for title in reversed(passage.section_path))
        return next((name for name in (*sections, passage.source, document) if name in self.grades), document)


def _read(questions: Path) -> tuple[list[_Asked], int]:
    if (questions / "queries.jsonl").is_file():
        judged = read_qrels(qrels_file(questions, None)).grades
        queries = read_queries(questions / "queries.jsonl")
        usable = {
            name: query
            for name, query in queries.items()
            if query.text.strip() and any(grade > 0 for grade in judged.get(name, {}).values())
        }
        return [_Asked(q.text, None, judged[name]) for name, q in usable.items()], len(queries) - len(usable)
    files = sorted(questions.glob("*.jsonl")) if questions.is_dir() else [questions]
    found = [question for half in read_questions(files).values() for question in half]
    usable_questions = [q for q in found if q.answerable and q.image_label is None]
    asked = [_Asked(q.question, q.family, {_GOLD: 1}, q.gold) for q in usable_questions]
    return asked, len(found) - len(asked)
