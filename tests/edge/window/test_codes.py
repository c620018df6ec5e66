"""Vectors as int8: turning keeps angles, and the grid costs little, whatever the encoder's vectors look like."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.window.codes import VectorCodes


@given(dimension=st.integers(2, 600), seed=st.integers(0, 2**32 - 1))
def test_turning_keeps_lengths_and_angles(dimension: int, seed: int) -> None:
    one, other = np.random.default_rng(seed).standard_normal((2, dimension)).astype(np.float32)
    codes = VectorCodes(dimension)
    cosine = one @ other / (np.linalg.norm(one) * np.linalg.norm(other))
    assert codes.turned(one) @ codes.turned(other) == pytest.approx(cosine, abs=1e-4)
    assert np.linalg.norm(codes.turned(one)) == pytest.approx(1, abs=1e-4)


@pytest.mark.parametrize("outlier", [0.0, 20.0])
def test_a_code_is_nearly_its_vector_also_where_one_dimension_outweighs_the_rest(outlier: float) -> None:
    vectors = np.random.default_rng(1).standard_normal((200, 512)).astype(np.float32)
    vectors[:, 7] += outlier
    codes = VectorCodes(512)
    turned = np.array([codes.turned(v) for v in vectors])
    decoded = codes.decode(codes.encode(turned))
    cosines = (decoded * turned).sum(axis=1) / np.linalg.norm(decoded, axis=1)
    assert cosines.min() > 0.9998
