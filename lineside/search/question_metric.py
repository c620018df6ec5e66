"""How alike two questions are in what they ask, not only in what they are about.

A sentence encoder places questions by their subject: "How heavy is the drum?" lies nearer to "How long is the drum?"
than to "What does the pulley weigh?". Known questions want the other likeness as well. It is a small linear map beside
the identity, learnt from known questions themselves by neighbourhood components analysis (Goldberger et al. 2004):
that the neighbours of a question agree with it on whether it is answered. What it learns is how people ask, and carries
over to machines it has not seen (docs/adr/0005).

One file for each text encoder, named by its fingerprint: `question_metrics/<fingerprint>.npz`, made by
`python -m demo.train_question_metric`. Other encoders have none, and cosines as they are.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lineside.search.contract import Vector

FOLDER = Path(__file__).parent / "question_metrics"


@dataclass(frozen=True, slots=True)
class QuestionMetric:
    """x → x + (x · down) · up, L2-normalised. down: (d, r), up: (r, d), float32."""

    down: Vector
    up: Vector

    def __call__(self, rows: Vector) -> Vector:
        """(n, d) float32, L2-normalised → the same shape, L2-normalised."""
        moved = rows + (rows @ self.down) @ self.up
        lengths = np.linalg.norm(moved, axis=1, keepdims=True)
        result: Vector = moved / np.maximum(lengths, np.float32(1e-9))
        return result

    def save(self, path: Path) -> None:
        """In float16."""
        np.savez(path, down=self.down.astype(np.float16), up=self.up.astype(np.float16))


def metric_of(fingerprint: str, folder: Path = FOLDER) -> QuestionMetric | None:
    """What was learnt for the text encoder with this fingerprint; None where nothing was."""
    path = folder / f"{fingerprint}.npz"
    if not path.is_file():
        return None
    with np.load(path, allow_pickle=False) as file:
        return QuestionMetric(file["down"].astype(np.float32), file["up"].astype(np.float32))
