"""The learnt likeness of questions: what a map does to rows, and that there is one for the demo's encoder."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lineside.encoders.model_folder import text_fingerprint
from lineside.search.question_metric import QuestionMetric, metric_of


def _rows(count: int, dimension: int, seed: int = 0) -> np.ndarray:
    rows = np.random.default_rng(seed).standard_normal((count, dimension)).astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def test_nothing_learnt_changes_nothing() -> None:
    rows = _rows(4, 8)
    metric = QuestionMetric(np.ones((8, 2), np.float32), np.zeros((2, 8), np.float32))
    assert metric(rows) == pytest.approx(rows, abs=1e-6)


def test_rows_stay_unit_and_what_is_kept_is_what_was_saved(tmp_path: Path) -> None:
    metric = QuestionMetric(_rows(8, 2), _rows(2, 8, seed=1))
    metric.save(tmp_path / "abc.npz")
    found = metric_of("abc", tmp_path)
    assert found is not None
    rows = _rows(16, 8, seed=2)
    assert np.linalg.norm(found(rows), axis=1) == pytest.approx(np.ones(16), abs=1e-5)
    assert found(rows) == pytest.approx(metric(rows), abs=1e-2)
    assert metric_of("another", tmp_path) is None


def test_the_demos_text_encoder_has_one(models_dir: Path) -> None:
    metric = metric_of(text_fingerprint(models_dir / "minilm"))
    assert metric is not None
    assert metric.down.shape == (384, 64)
    assert metric.up.shape == (64, 384)
