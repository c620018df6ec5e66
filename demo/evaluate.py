"""Prints every figure of the demo plant: answers of both halves, extractive and generated, and the joint encoder.

`python -m demo.evaluate [--half tuning|development|validation|held-out|both] [--skip generate] [--skip encoder]`

Frames of image questions are rendered from seeds that no indexed frame and no training frame has.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import os
import sys
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from demo import evaluate_joint_encoder
from demo.assemble_joint_encoder import SOURCE
from demo.render_frames import HELD_OUT, render_frame
from index_builder.evaluation.progress import Progress
from lineside.encoders import Runtime, load_joint_encoder
from lineside.errors import LinesideError
from lineside.evaluation import Question, render_report
from lineside.evaluation.answers import EvaluatedMode
from lineside.evaluation.report import render_failures
from lineside.evaluation.run import measure_answers
from lineside.local import lineside_home

QUESTIONS = Path(__file__).resolve().parent / "questions"
PARAPHRASES = SOURCE / "paraphrases_held_out.jsonl"
FRAMES_PER_LABEL = 40
ENCODER_BARS = {"image → label": 0.95, "text → frame recall@5": 0.90}


def question_frame(question: Question) -> bytes | None:
    """The frame of an image question as PNG, always the same for one id; None where there is no image."""
    if question.image_label is None:
        return None
    digest = hashlib.blake2b(question.id.encode(), digest_size=8).digest()
    seed = HELD_OUT[int.from_bytes(digest, "big") % len(HELD_OUT)]
    out = io.BytesIO()
    render_frame(question.image_label, seed).save(out, "PNG")
    return out.getvalue()


def main(arguments: list[str] | None = None) -> int:
    """Entry point; the exit status is 2 where a bar is missed and 1 where something is not there."""
    parser = argparse.ArgumentParser(description="Measure the demo plant: answers and joint encoder.")
    parser.add_argument("--home", type=Path, default=lineside_home())
    parser.add_argument("--half", choices=("tuning", "development", "validation", "held-out", "both"), default="both")
    parser.add_argument("--skip", choices=("extract", "generate", "encoder"), action="append", default=[])
    parser.add_argument("--generator", choices=("llamacpp", "vllm"), default="llamacpp")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--limit", type=int, help="first questions of each half only")
    parser.add_argument("--show-failures", action="store_true", help="question by question; never while tuning")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    options = parser.parse_args(arguments)
    try:
        figures = _measure(options)
    except LinesideError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    if options.json:
        print(json.dumps(figures.as_json, indent=1))
    return 0 if figures.met else 2


@dataclass(slots=True)
class _Figures:
    """What has been measured so far."""

    met: bool = True
    as_json: dict[str, Any] = field(default_factory=dict)


def _measure(options: argparse.Namespace) -> _Figures:
    """Everything that is not skipped; printed as it is ready unless JSON is wanted at the end."""
    figures, show = _Figures(), Progress()
    modes: tuple[EvaluatedMode, ...] = ("extract", "generate")
    for mode in modes:
        if mode in options.skip:
            continue
        run = measure_answers(
            [QUESTIONS],
            home=options.home,
            images=question_frame,
            half=options.half,
            mode=mode,
            generator=options.generator,
            limit=options.limit,
            threads=options.threads,
            progress=partial(show, f"{mode}: questions answered"),
        )
        figures.met &= run.report.met
        figures.as_json[mode] = run.report.model_dump(mode="json")
        if not options.json:
            print(render_report(run.report), end="\n\n", flush=True)
        if options.show_failures:
            for outcomes in run.outcomes.values():
                print(render_failures(outcomes), file=sys.stderr)
    if "encoder" not in options.skip:
        encoder = load_joint_encoder(options.home / "models" / "joint-demo", runtime=Runtime(threads=options.threads))
        found = evaluate_joint_encoder.evaluate(encoder, FRAMES_PER_LABEL, options.threads, PARAPHRASES)
        shares = {"image → label": found["image_to_label"], "text → frame recall@5": found["text_to_frame"]["recall@5"]}
        figures.met &= all(shares[name] >= bar for name, bar in ENCODER_BARS.items())
        figures.as_json["joint_encoder"] = found
        if not options.json:
            print("joint encoder, held-out frames and paraphrases")
            for name, bar in ENCODER_BARS.items():
                verdict = "pass" if shares[name] >= bar else "MISS"
                print(f"  {name:<42} {f'≥ {bar:.0%}':>8} {shares[name]:>20.1%}  {verdict}")
    return figures


if __name__ == "__main__":
    sys.exit(main())
