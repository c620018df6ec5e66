"""How well the service tells what its knowledge answers from what it does not, on the demo plant.

    python -m benchmarks.abstention [--home DIR] [--json]

The sets: text questions of the demo's tuning, development and validation sets, and `abstention_questions.jsonl`,
written for this purpose. All but the validation set were fitted to (`benchmarks.answerability`). It prints, for
several bars on `Signals.answerability`, how many answerable questions are refused and how many unanswerable ones are;
what the whole decision (`lineside.answering.abstain.decide`) makes of them; and, as a check on the coefficients in
`lineside.search.answerability`, what a logistic regression fitted on these questions themselves reaches when each is
judged by a fit to the others (leave-one-out).
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lineside.answering.abstain import AbstainSettings, decide
from lineside.encoders import QuestionEncoder, load_text_encoder
from lineside.evaluation import read_questions
from lineside.local import lineside_home
from lineside.releases import Catalogue
from lineside.search import ReleaseIndex, SearchQuery

Floats = NDArray[np.float64]

OWN_QUESTIONS = Path(__file__).with_name("abstention_questions.jsonl")
_QUESTIONS = Path(__file__).resolve().parent.parent / "demo" / "questions"
SEEN = [f for name in ("tuning", "development", "validation") for f in sorted(_QUESTIONS.glob(f"{name}*.jsonl"))]
BARS = (0.2, 0.24, 0.3, 0.35, 0.4, 0.5, 0.6)


@dataclass(frozen=True, slots=True)
class Judged:
    """One question: its features, the estimate, and whether the service refuses it and why."""

    answerable: bool
    features: tuple[float, ...]
    answerability: float
    cause: str | None


def judge(index: ReleaseIndex, encoder: QuestionEncoder, question: str, family: str | None, answerable: bool) -> Judged:
    """Searches for one question and decides on it."""
    text, _ = encoder.encode([question])
    result = index.search(SearchQuery(question, text_vector=text[0], family=family))
    signals, refusal = result.signals, decide(result, question)
    if signals.features is None:
        raise ValueError("the search estimated nothing: ask with `for_answer`")
    return Judged(answerable, signals.features.row(), signals.answerability, refusal.cause if refusal else None)


def fit(features: Floats, answerable: Floats, ridge: float = 0.05, steps: int = 60) -> Floats:
    """Logistic regression with an L2 penalty by Newton's method; the first coefficient is the bias."""
    rows = np.c_[np.ones(len(features)), features]
    penalty = np.diag([1e-6, *[ridge] * features.shape[1]])
    coefficients = np.zeros(rows.shape[1])
    for _ in range(steps):
        p = 1 / (1 + np.exp(-rows @ coefficients))
        hessian = rows.T @ ((p * (1 - p))[:, None] * rows) + penalty
        coefficients += np.linalg.solve(hessian, rows.T @ (answerable - p) - penalty @ coefficients)
    return coefficients


def leave_one_out(features: Floats, answerable: Floats) -> Floats:
    """The estimate for every question by a fit to all others."""
    found = []
    for i in range(len(features)):
        coefficients = fit(np.delete(features, i, 0), np.delete(answerable, i))
        found.append(1 / (1 + np.exp(-(coefficients[0] + features[i] @ coefficients[1:]))))
    return np.array(found)


def refusals(estimates: Floats, answerable: Floats, bar: float) -> dict[str, float]:
    """Shares of both kinds below a bar."""
    below = estimates < bar
    return {
        "bar": bar,
        "answerable_refused": float(below[answerable == 1].mean()),
        "unanswerable_refused": float(below[answerable == 0].mean()),
    }


def evaluate(judged: list[Judged]) -> dict[str, Any]:
    """Figures of one set of questions, or of both together."""
    answerable = np.array([float(j.answerable) for j in judged])
    features = np.array([j.features for j in judged])
    refused = np.array([j.cause is not None for j in judged])
    return {
        "answerable": int(answerable.sum()),
        "unanswerable": int((1 - answerable).sum()),
        "decision": {
            "answerable_refused": float(refused[answerable == 1].mean()),
            "unanswerable_refused": float(refused[answerable == 0].mean()),
        },
        "estimate": [refusals(np.array([j.answerability for j in judged]), answerable, bar) for bar in BARS],
        "leave_one_out": [refusals(leave_one_out(features, answerable), answerable, bar) for bar in BARS],
        "fitted": fit(features, answerable).round(2).tolist(),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description="How well unanswerable questions are told from answerable ones.")
    parser.add_argument("--home", type=Path, default=lineside_home())
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    catalogue = Catalogue(options.home / "store")
    release = catalogue.current()
    index = ReleaseIndex.open(catalogue.paths(release), release.number)
    encoder = QuestionEncoder(load_text_encoder(options.home / "models" / "minilm"))
    judged: dict[str, list[Judged]] = {
        half: [judge(index, encoder, q.question, q.family, q.answerable) for q in asked if q.image_label is None]
        for half, asked in read_questions(SEEN).items()
    }
    records = [json.loads(line) for line in OWN_QUESTIONS.read_text(encoding="utf-8").splitlines()]
    judged["own questions"] = [judge(index, encoder, r["question"], None, r["answerable"]) for r in records]
    report = {name: evaluate(found) for name, found in judged.items()}
    report["all"] = evaluate([one for found in judged.values() for one in found])
    if options.json:
        print(json.dumps(report, indent=1))
        return
    print(f"bars in use: {AbstainSettings().bar} and {AbstainSettings().sure_bar}")
    for name, figures in report.items():
        decision = figures["decision"]
        print(f"\n{name}: {figures['answerable']} answerable, {figures['unanswerable']} unanswerable")
        print(
            f"  whole decision: {decision['answerable_refused']:.1%} of the answerable refused, "
            f"{decision['unanswerable_refused']:.1%} of the unanswerable"
        )
        print(f"  {'bar':>6}{'estimate alone':>24}{'leave-one-out fit':>24}")
        for one, other in zip(figures["estimate"], figures["leave_one_out"], strict=True):
            columns = (f"{r['answerable_refused']:.1%} / {r['unanswerable_refused']:.1%}" for r in (one, other))
            print(f"  {one['bar']:>6.2f}" + "".join(f"{column:>24}" for column in columns))


if __name__ == "__main__":
    main()
