"""Measures the demo's joint encoder on frames and paraphrases it was not trained on.

`python -m demo.evaluate_joint_encoder [--json] [--model DIR]`

Images: frames of `HELD_OUT` seeds are labelled by their five nearest indexed frames, each voting with its cosine; half
of them with nuisances 1.3 times the ordinary range. Texts: paraphrases written by hand
(`demo/joint_encoder/paraphrases_held_out.jsonl`) retrieve indexed frames. Open set: cosine of the nearest indexed
frame, for frames of the plant and for images that show something else (kinds that training did not see).
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from demo.assemble_joint_encoder import SOURCE
from demo.render_frames import FRAMES_PER_LABEL, HELD_OUT, INDEXED, LABELS, render_frames
from demo.unrelated import HELD_OUT_KINDS, unrelated_image
from lineside.encoders import JointEncoder, load_joint_encoder

NEIGHBOURS = 5
HARSH = 1.3
FIRST_SEED = HELD_OUT.start + 1_000  # the seeds before it served while the encoder was being made

Vectors = NDArray[np.float32]


def vote(similarity: Vectors, labels: Sequence[str], neighbours: int = NEIGHBOURS) -> list[str]:
    """For each row of cosines (n, m) to m labelled frames, the label with most cosine among the nearest ones."""
    winners = []
    for row in similarity:
        shares: dict[str, float] = defaultdict(float)
        for index in np.argsort(-row)[:neighbours]:
            shares[labels[int(index)]] += float(row[index])
        winners.append(max(shares, key=lambda label: shares[label]))
    return winners


def text_to_frame(similarity: Vectors, wanted: Sequence[str], labels: Sequence[str], k: int = 5) -> dict[str, float]:
    """Cosines (texts, frames) → share of texts with a right frame among the first `k`, mean precision, and first."""
    right = np.array(
        [[labels[int(i)] == label for i in np.argsort(-row)[:k]] for row, label in zip(similarity, wanted, strict=True)]
    )
    return {
        f"recall@{k}": float(right.any(axis=1).mean()),
        f"precision@{k}": float(right.mean()),
        "first_right": float(right[:, 0].mean()),
    }


def read_paraphrases(file: Path) -> tuple[list[str], list[str]]:
    """(labels, texts) of a JSONL file."""
    rows = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    return [row["label"] for row in rows], [row["text"] for row in rows]


def render_set(seeds: range, harshness: float, processes: int) -> tuple[list[Image.Image], list[str]]:
    """Frames of every label for `seeds`, and their labels."""
    jobs = [(label, seed, harshness) for label in LABELS for seed in seeds]
    return list(render_frames(jobs, processes)), [label for label, _, _ in jobs]


def evaluate(encoder: JointEncoder, held_out_per_label: int, processes: int, paraphrases: Path) -> dict[str, Any]:
    """All figures as one JSON-ready object."""
    indexed, labels = render_set(range(INDEXED.start, INDEXED.start + FRAMES_PER_LABEL), 1.0, processes)
    began = time.perf_counter()
    index = encoder.encode_images(indexed)
    image_ms = (time.perf_counter() - began) * 1000 / len(indexed)
    report: dict[str, Any] = {"indexed_frames": len(indexed), "labels": len(LABELS), "image_ms": image_ms}

    nearest = {}
    half = held_out_per_label // 2
    for name, harshness, first in (("ordinary", 1.0, 0), ("harsh", HARSH, half)):
        seeds = range(FIRST_SEED + first, FIRST_SEED + first + half)
        images, wanted = render_set(seeds, harshness, processes)
        similarity = encoder.encode_images(images) @ index.T
        found = vote(similarity, labels)
        mistakes: dict[str, int] = defaultdict(int)
        for truth, guess in zip(wanted, found, strict=True):
            if truth != guess:
                mistakes[f"{truth} -> {guess}"] += 1
        report[f"image_to_label_{name}"] = {
            "frames": len(images),
            "accuracy": 1 - sum(mistakes.values()) / len(images),
            "mistakes": dict(mistakes),
        }
        nearest[f"frames_{name}"] = similarity.max(axis=1)
    total = sum(report[f"image_to_label_{name}"]["frames"] for name in ("ordinary", "harsh"))
    wrong = sum(sum(report[f"image_to_label_{name}"]["mistakes"].values()) for name in ("ordinary", "harsh"))
    report["image_to_label"] = 1 - wrong / total

    wanted, texts = read_paraphrases(paraphrases)
    similarity = encoder.encode_texts(texts) @ index.T
    report["text_to_frame"] = {"texts": len(texts), **text_to_frame(similarity, wanted, labels)}
    report["text_mistakes"] = [
        f"{label}: {text} -> {labels[int(row.argmax())]}"
        for label, text, row in zip(wanted, texts, similarity, strict=True)
        if labels[int(row.argmax())] != label
    ]
    report["text_nearest_cosine"] = _spread(similarity.max(axis=1))

    rng = np.random.default_rng(HELD_OUT.start)
    for kind in HELD_OUT_KINDS:
        strange = [unrelated_image(kind, rng) for _ in range(20)]
        nearest[f"unrelated_{kind}"] = (encoder.encode_images(strange) @ index.T).max(axis=1)
    report["nearest_cosine"] = {name: _spread(values) for name, values in nearest.items()}
    plant = np.concatenate([values for name, values in nearest.items() if name.startswith("frames")])
    other = np.concatenate([values for name, values in nearest.items() if name.startswith("unrelated")])
    report["open_set"] = _threshold(plant, other)
    return report


def _spread(values: Vectors) -> dict[str, float]:
    low, p5, median, p95, high = np.percentile(values, [0, 5, 50, 95, 100])
    return {"min": float(low), "p5": float(p5), "median": float(median), "p95": float(p95), "max": float(high)}


def _threshold(plant: Vectors, other: Vectors) -> dict[str, float]:
    """The cosine that separates the two best (the largest sum of both shares on the right side)."""
    candidates = np.linspace(0, 1, 201)
    scores = [float((plant >= t).mean() + (other < t).mean()) for t in candidates]
    best = np.flatnonzero(np.isclose(scores, max(scores)))
    threshold = float(candidates[best[len(best) // 2]])
    return {
        "threshold": threshold,
        "plant_frames_accepted": float((plant >= threshold).mean()),
        "unrelated_rejected": float((other < threshold).mean()),
    }


def _print(report: dict[str, Any]) -> None:
    print(f"indexed frames          {report['indexed_frames']} of {report['labels']} labels")
    print(f"image -> label          {report['image_to_label']:.1%}")
    for name in ("ordinary", "harsh"):
        part = report[f"image_to_label_{name}"]
        print(f"  {name:<21} {part['accuracy']:.1%} of {part['frames']}  {part['mistakes'] or ''}")
    text = report["text_to_frame"]
    print(f"text -> frame recall@5  {text['recall@5']:.1%} of {text['texts']} held-out paraphrases")
    print(f"  precision@5           {text['precision@5']:.1%}, first right {text['first_right']:.1%}")
    for mistake in report["text_mistakes"]:
        print(f"  not first: {mistake}")
    print("cosine to the nearest indexed frame (5 %, median, 95 %)")
    for name, spread in {**report["nearest_cosine"], "paraphrases": report["text_nearest_cosine"]}.items():
        print(f"  {name:<22} {spread['p5']:.2f} {spread['median']:.2f} {spread['p95']:.2f}")
    gate = report["open_set"]
    print(
        f"open set                threshold {gate['threshold']:.2f}: {gate['plant_frames_accepted']:.1%} of plant "
        f"frames accepted, {gate['unrelated_rejected']:.1%} of unrelated images rejected"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description="Measures the demo's joint encoder on held-out frames and texts.")
    home = Path(os.environ.get("LINESIDE_HOME", ".lineside"))
    parser.add_argument("--model", type=Path, default=home / "models" / "joint-demo")
    parser.add_argument("--per-label", type=int, default=40, help="held-out frames of each label")
    parser.add_argument("--paraphrases", type=Path, default=SOURCE / "paraphrases_held_out.jsonl")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    report = evaluate(load_joint_encoder(options.model), options.per_label, options.processes, options.paraphrases)
    if options.json:
        print(json.dumps(report, indent=2))
    else:
        _print(report)


if __name__ == "__main__":
    main()
