"""Fits and measures the answerability estimate: questions with an answer against the same questions elsewhere.

    python -m benchmarks.answerability --release STORE QUESTIONS.jsonl... --beir FOLDER...

Answerable are a set's questions on its own knowledge. Unanswerable are questions marked so, every set's questions on
the other sets' knowledge, and, as hard negatives that weigh less, on their own knowledge without the documents that
hold the answer. Prints the weights of `lineside/search/answerability.py` and how well they separate. Text only.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from index_builder.evaluation.beir import read_judged_set
from index_builder.evaluation.corpus_shard import encode_texts, write_corpus
from index_builder.evaluation.vector_cache import VectorCache
from lineside.analysis import terms
from lineside.encoders import Runtime, TextEncoder, load_text_encoder
from lineside.releases import Catalogue
from lineside.schema import Filters
from lineside.search import ReleaseIndex, SearchQuery, SearchResult
from lineside.search.answerability import AnswerabilityFeatures, answerability

FEATURES = ("dense", "coverage", "sentence", "unknown_share", "missing_identifier")
_HARD_WEIGHT = 0.25  # another document may answer as well
_RIDGE = 0.05


@dataclass(frozen=True)
class Question:
    """`gold`: parts of the sources of the documents that answer it; empty when nothing does."""

    text: str
    family: str | None
    gold: tuple[str, ...]
    vector: np.ndarray


@dataclass(frozen=True)
class Example:
    """What one search said, whether an answer was there, and how much the example counts."""

    kind: str
    features: AnswerabilityFeatures
    answerable: bool
    weight: float

    def row(self) -> list[float]:
        f = self.features
        return [f.dense, f.coverage, f.sentence, f.unknown_share, float(f.missing_identifiers > 0)]


def features(question: str, result: SearchResult) -> AnswerabilityFeatures:
    """The features that the search itself used."""
    signals = result.signals
    return AnswerabilityFeatures(
        dense=signals.dense,
        coverage=signals.coverage,
        sentence=max((s.score for s in result.sentences), default=0.0),
        unknown_share=len(signals.unknown_terms) / max(len(set(terms(question))), 1),
        missing_identifiers=len(signals.missing_identifiers),
    )


def examples(knowledge: Mapping[str, tuple[ReleaseIndex, Sequence[Question]]]) -> list[Example]:
    """Every question on every knowledge."""
    found = []
    for name, (index, _) in knowledge.items():
        sources = {d: index.document(d).source for d in dict.fromkeys(d for _, d in index.passages())}
        for home, (_, questions) in knowledge.items():
            for q in questions:
                if home != name:
                    found.append(_example("elsewhere", index, q, Filters(), None, False, 1.0))
                    continue
                kind = "own" if q.gold else "unanswerable"
                found.append(_example(kind, index, q, Filters(), q.family, bool(q.gold), 1.0))
                others = tuple(d for d, source in sources.items() if not any(g in source for g in q.gold))
                if q.gold and 0 < len(others) <= 100:
                    without = Filters(document_ids=others)
                    found.append(_example("gold removed", index, q, without, q.family, False, _HARD_WEIGHT))
    return found


def _example(
    kind: str, index: ReleaseIndex, q: Question, filters: Filters, family: str | None, answerable: bool, weight: float
) -> Example:
    result = index.search(SearchQuery(q.text, text_vector=q.vector, family=family, filters=filters))
    return Example(kind, features(q.text, result), answerable, weight)


def fit(found: Sequence[Example]) -> np.ndarray:
    """Logistic regression by Newton's method with a small ridge; classes weigh the same. Bias last."""
    x = np.array([[*e.row(), 1.0] for e in found])
    y = np.array([e.answerable for e in found], float)
    weight = np.array([e.weight for e in found])
    weight /= np.where(y == 1, weight[y == 1].sum(), weight[y == 0].sum())
    weight *= len(found) / 2
    ridge = np.diag([*[_RIDGE] * len(FEATURES), 0.0])
    beta = np.zeros(x.shape[1])
    for _ in range(100):
        p = 1 / (1 + np.exp(-x @ beta))
        gradient = x.T @ (weight * (y - p)) - ridge @ beta
        hessian = (x * (weight * p * (1 - p))[:, None]).T @ x + ridge
        step = np.linalg.solve(hessian, gradient)
        beta += step
        if np.abs(step).max() < 1e-8:
            break
    return beta


def report(found: Sequence[Example]) -> Iterable[str]:
    """Lines: fitted weights, then how the present weights separate, by kind of example and by bar."""
    yield "fitted: " + ", ".join(f"{n} {w:.2f}" for n, w in zip((*FEATURES, "bias"), fit(found), strict=True))
    kinds = list(dict.fromkeys(e.kind for e in found))
    scores = {k: np.array([answerability(e.features) for e in found if e.kind == k]) for k in kinds}
    own = scores["own"]
    yield f"{'share at or above':<20}{'count':>7}" + "".join(f"{bar:8.2f}" for bar in _BARS) + f"{'AUC':>8}"
    for kind, values in scores.items():
        auc = (own[:, None] > values[None, :]).mean() + 0.5 * (own[:, None] == values[None, :]).mean()
        shares = "".join(f"{(values >= bar).mean():8.3f}" for bar in _BARS)
        yield f"{kind:<20}{len(values):7}{shares}" + ("" if kind == "own" else f"{auc:8.3f}")


_BARS = (0.2, 0.3, 0.4, 0.5, 0.6, 0.7)


def _demo_questions(paths: Iterable[Path], encoder: TextEncoder) -> list[Question]:
    records = [json.loads(line) for path in paths for line in path.read_text().splitlines() if line.strip()]
    records = [r for r in records if r.get("image_label") is None]
    vectors = encoder.encode([r["question"] for r in records])
    return [
        Question(r["question"], r["family"], tuple(Path(g["document"]).stem for g in r["gold"]), vector)
        for r, vector in zip(records, vectors, strict=True)
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--release", action="append", nargs="+", type=Path, default=[], metavar="STORE [QUESTIONS]")
    parser.add_argument("--beir", nargs="*", type=Path, default=[])
    home = Path(os.environ.get("LINESIDE_HOME", ".lineside"))
    parser.add_argument("--model", type=Path, default=home / "models" / "minilm")
    options = parser.parse_args()
    encoder = load_text_encoder(options.model, runtime=Runtime(threads=1))
    knowledge: dict[str, tuple[ReleaseIndex, Sequence[Question]]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for store, *paths in options.release:
            catalogue = Catalogue(store)
            release = catalogue.current()
            index = ReleaseIndex.open(catalogue.paths(release), release.number)
            knowledge[str(store)] = index, _demo_questions(paths, encoder)
        for beir in options.beir:
            judged = read_judged_set(beir)
            with VectorCache(home / "cache" / "evaluation", encoder.fingerprint, encoder.dimension) as cache:
                shard = write_corpus(judged.corpus, encoder, cache, Path(folder))
                asked = [query.text for query in judged.queries.values()]
                vectors = encode_texts(asked, encoder, cache)
            questions = [
                Question(text, None, tuple(judged.grades[name]), vector)
                for name, text, vector in zip(judged.queries, asked, vectors, strict=True)
            ]
            knowledge[judged.name] = ReleaseIndex.open([shard.ref.path], 1), questions
        found = examples(knowledge)
    print("\n".join(report(found)))


if __name__ == "__main__":
    main()
