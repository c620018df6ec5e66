"""With lengths in steps, a vector has the same bits alone, in company and on more threads: an index can be remade."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lineside.encoders import Runtime, load_joint_encoder, load_text_encoder
from lineside.encoders.batches import length_batches
from tests.encoders.conftest import photographs
from tests.encoders.models import save_clip, tiny_clip_config

TEXTS = [" ".join(["the seal of the pump drips"] * n) + f" {n}" for n in (1, 2, 3, 4, 5, 6, 7, 9, 14, 40)]


@pytest.mark.slow
def test_text_vectors_do_not_depend_on_their_batch(minilm: Path) -> None:
    encoder = load_text_encoder(minilm, runtime=Runtime(threads=1, max_batch=4))
    together = encoder.encode(TEXTS, pad_multiple=16)
    alone = np.concatenate([encoder.encode([text], pad_multiple=16) for text in TEXTS])
    backwards = load_text_encoder(minilm, runtime=Runtime(threads=2, max_batch=3)).encode(TEXTS[::-1], pad_multiple=16)
    np.testing.assert_array_equal(together, alone)
    np.testing.assert_array_equal(together, backwards[::-1])
    np.testing.assert_allclose((together * encoder.encode(TEXTS)).sum(axis=1), 1, atol=2e-3)


@pytest.mark.slow
def test_joint_vectors_do_not_depend_on_their_batch(tmp_path: Path) -> None:
    folder = save_clip(tmp_path / "clip", tiny_clip_config())
    one = load_joint_encoder(folder, runtime=Runtime(threads=1, max_batch=4))
    two = load_joint_encoder(folder, runtime=Runtime(threads=2, max_batch=3))
    np.testing.assert_array_equal(
        one.encode_texts(TEXTS, pad_multiple=16),
        np.concatenate([two.encode_texts([text], pad_multiple=16) for text in TEXTS]),
    )
    images = photographs(7)
    np.testing.assert_array_equal(one.encode_images(images), two.encode_images(images[::-1])[::-1])


def test_without_steps_batches_are_as_wide_as_their_longest_row() -> None:
    assert list(length_batches([5, 1, 9], 2)) == [([1, 0], 5), ([2], 9)]


def test_with_steps_a_row_has_its_own_width_in_any_company() -> None:
    batches = list(length_batches([5, 1, 9, 8, 0, 77], 2, 8, 77))
    assert batches == [([4, 1], 8), ([0, 3], 8), ([2], 16), ([5], 77)]
