"""Fits and measures the answerability estimate: questions with an answer against the same questions elsewhere.

    python -m benchmarks.answerability --release STORE QUESTIONS.jsonl... --beir FOLDER...

Answerable are a set's questions on its own knowledge, and on the family alone that holds the answer, as a gateway may
hold it. Unanswerable are questions marked so, every set's questions on the other sets' knowledge, and every question
on its own knowledge without the family that answers it: these are the hard ones, and some few of them another family
answers. Prints the weights of `lineside/search/answerability.py`, how the weights in use and the whole decision
separate, and what a fit to the other families' questions reaches for questions that it has not seen. Text only. Both
regressions are fitted: without known questions, and where there are some (`lineside/search/known_questions.py`). How
the weights in use were fitted:

    python -m benchmarks.answerability --beir ../shared/data/s10_manual --release .lineside/store \\
        demo/questions/{tuning_a,tuning_b,development,development_b}.jsonl benchmarks/abstention_questions.jsonl

and, for those where questions are known, with `development_c.jsonl` beside them, which asks for what a manual mentions
without stating it.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from index_builder.evaluation.beir import read_judged_set
from index_builder.evaluation.corpus_shard import encode_texts, write_corpus
from index_builder.evaluation.vector_cache import VectorCache
from lineside.answering.abstain import decide
from lineside.answering.attributes import unstated
from lineside.encoders import Runtime, TextEncoder, load_text_encoder
from lineside.releases import Catalogue
from lineside.search import ReleaseIndex, SearchQuery, SearchSettings
from lineside.search.answerability import FEATURES, AnswerabilityFeatures, answerability
from lineside.shards import Shard

_WEIGHTS = {"own": 1.0, "own family only": 0.5, "unanswerable": 1.0, "family left out": 0.5, "elsewhere": 0.25}
# Where a family is not there, its known questions are not either: what tells then is likeness, as without any.
_KNOWN_WEIGHTS = _WEIGHTS | {"family left out": 0.1}
_RIDGE = 5.0  # of 0.3 to 10, together with these weights, what refused least in cross-validation
_TARGETS = (0.01, 0.02, 0.03)
_FOLDS_MIN = 6


@dataclass(frozen=True)
class Question:
    """`families`: those that hold its answers, where known; `group`: questions that are never split by a fold."""

    text: str
    answerable: bool
    families: frozenset[str]
    group: str
    vector: np.ndarray


@dataclass(frozen=True)
class Knowledge:
    """What is searched and asked; `without` and `only`: the same without one family, and that family alone."""

    index: ReleaseIndex
    questions: Sequence[Question]
    without: Mapping[str, ReleaseIndex]
    only: Mapping[str, ReleaseIndex]


@dataclass(frozen=True)
class Example:
    """What one search said, whether an answer was there, and whether the whole decision refuses to answer.

    `settled`: an attribute that no passage states decides, whatever the estimate: nothing to fit.
    """

    kind: str
    group: str
    features: AnswerabilityFeatures
    answerable: bool
    refused: bool
    settled: bool

    def without_known(self) -> Example:
        """The same where no questions are known."""
        return replace(self, features=replace(self.features, known_lean=None))


def examples(knowledge: Mapping[str, Knowledge]) -> list[Example]:
    """Every question on every knowledge, and on parts of its own."""
    found = []
    for name, asked in knowledge.items():
        for home, other in knowledge.items():
            if home != name:
                found += [_example("elsewhere", asked.index, q, False) for q in other.questions]
        for q in asked.questions:
            found.append(_example("own" if q.answerable else "unanswerable", asked.index, q, q.answerable))
            if len(q.families) == 1 and q.families <= asked.without.keys():
                (family,) = q.families
                found.append(_example("family left out", asked.without[family], q, False))
                found.append(_example("own family only", asked.only[family], q, True))
    return found


def _example(kind: str, index: ReleaseIndex, q: Question, answerable: bool) -> Example:
    result = index.search(SearchQuery(q.text, text_vector=q.vector))
    if result.signals.features is None:
        raise ValueError("the search estimated nothing: ask with `for_answer`")
    settled = unstated(q.text, (e.text for e in result.evidence if e.kind == "passage")) is not None
    refused = decide(result, q.text) is not None
    return Example(kind, q.group, result.signals.features, answerable, refused, settled)


def fit(found: Sequence[Example]) -> np.ndarray:
    """Logistic regression by Newton's method, ridge on standardised features; classes weigh the same. Bias last."""
    rows = np.array([e.features.row() for e in found])
    mean, deviation = rows.mean(0), rows.std(0) + 1e-9
    x = np.c_[(rows - mean) / deviation, np.ones(len(rows))]
    y = np.array([e.answerable for e in found], float)
    weights = _WEIGHTS if all(e.features.known_lean is None for e in found) else _KNOWN_WEIGHTS
    weight = np.array([weights[e.kind] for e in found])
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
    slopes = beta[:-1] / deviation
    return np.append(slopes, beta[-1] - slopes @ mean)


def estimates(beta: np.ndarray, found: Sequence[Example]) -> np.ndarray:
    """Probabilities of answers (n,) by other weights than those in use."""
    return 1 / (1 + np.exp(-(np.array([e.features.row() for e in found]) @ beta[:-1] + beta[-1])))


def unseen(found: Sequence[Example], target: float) -> np.ndarray:
    """Which examples (n,) are refused by weights and a bar that other groups' questions gave.

    The bar is where `target` of those that have an answer are refused.
    """
    refused = np.zeros(len(found), bool)
    for group in {e.group for e in found}:
        held = np.array([e.group == group for e in found])
        others = [e for e in found if e.group != group and not e.settled]
        beta = fit(others)
        bar = np.quantile(estimates(beta, [e for e in others if e.answerable]), target)
        refused[held] = estimates(beta, [e for e in found if e.group == group]) < bar
    return refused | np.array([e.settled for e in found])


def report(found: Sequence[Example]) -> Iterable[str]:
    """Lines: fitted weights, what the present ones refuse by kind of example and bar, and the cross-validation.

    The column "decision" is that of the knowledge as it is.
    """
    beta = fit([e for e in found if not e.settled])
    yield "fitted: " + ", ".join(f"{n} {w:.2f}" for n, w in zip((*FEATURES, "bias"), beta, strict=True))
    scores = np.array([answerability(e.features) for e in found])
    settled = np.array([e.settled for e in found])
    columns = {"decision": np.array([e.refused for e in found])}
    columns |= {f"< {bar:.2f}": settled | (scores < bar) for bar in _BARS}
    columns |= {f"cv {target:.0%}": unseen(found, target) for target in _TARGETS}
    yield f"{'refused':<17}{'count':>6}" + "".join(f"{name:>9}" for name in columns)
    for kind in dict.fromkeys(e.kind for e in found):
        chosen = np.array([e.kind == kind for e in found])
        yield f"{kind:<17}{chosen.sum():6}" + "".join(f"{refused[chosen].mean():9.1%}" for refused in columns.values())


_BARS = (0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5)


def _release(store: Path, paths: Iterable[Path], encoder: TextEncoder) -> Knowledge:
    catalogue = Catalogue(store)
    release = catalogue.current()
    shards = [Shard.open(path) for path in catalogue.paths(release)]
    records = [json.loads(line) for path in paths for line in path.read_text().splitlines() if line.strip()]
    records = [r for r in records if r.get("image_label") is None]
    vectors = encoder.encode([r["question"] for r in records])
    questions = []
    for number, (r, vector) in enumerate(zip(records, vectors, strict=True)):
        families = frozenset(g["document"].split("/")[0] for g in r.get("gold", ()))
        group = r["id"].split("-")[0] if "id" in r else f"{store}-{number % _FOLDS_MIN}"
        questions.append(Question(r["question"], r["answerable"], families, group, vector))
    parts = {shard.family for shard in shards} if len({shard.family for shard in shards}) > 1 else set()

    def searched(keep: Iterable[Shard]) -> ReleaseIndex:
        return ReleaseIndex(list(keep), release.number, SearchSettings())

    return Knowledge(
        searched(shards),
        questions,
        {f: searched(s for s in shards if s.family != f) for f in parts},
        {f: searched(s for s in shards if s.family == f) for f in parts},
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--release", action="append", nargs="+", type=Path, default=[], metavar="STORE [QUESTIONS]")
    parser.add_argument("--beir", nargs="*", type=Path, default=[])
    home = Path(os.environ.get("LINESIDE_HOME", ".lineside"))
    parser.add_argument("--model", type=Path, default=home / "models" / "minilm")
    options = parser.parse_args()
    encoder = load_text_encoder(options.model, runtime=Runtime(threads=1))
    knowledge: dict[str, Knowledge] = {}
    with tempfile.TemporaryDirectory() as folder:
        for store, *paths in options.release:
            knowledge[str(store)] = _release(store, paths, encoder)
        for beir in options.beir:
            judged = read_judged_set(beir)
            with VectorCache(home / "cache" / "evaluation", encoder.fingerprint, encoder.dimension) as cache:
                shard = write_corpus(judged.corpus, encoder, cache, Path(folder))
                asked = [query.text for query in judged.queries.values()]
                vectors = encode_texts(asked, encoder, cache)
            questions = [
                Question(text, True, frozenset(), f"{judged.name}-{number % _FOLDS_MIN}", vector)
                for number, (text, vector) in enumerate(zip(asked, vectors, strict=True))
            ]
            knowledge[judged.name] = Knowledge(ReleaseIndex.open([shard.ref.path], 1), questions, {}, {})
        found = examples(knowledge)
    print("without known questions", *report([e.without_known() for e in found]), sep="\n")
    known = [e for e in found if e.features.known_lean is not None]
    if known:
        print("\nwith them", *report(known), sep="\n")


if __name__ == "__main__":
    main()
