from __future__ import annotations

import faiss
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lineside.shards.rabitq_codes import RaBitQCodes


@given(bits=st.integers(2, 9), groups=st.integers(1, 12), seed=st.integers(0, 1_000))
def test_decoded_rows_score_as_the_index_scores_them(bits: int, groups: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    d = 8 * groups
    rows = (rng.standard_normal((20, d)) + 1).astype(np.float32)
    index = faiss.index_factory(d, f"RaBitQ{bits}", faiss.METRIC_INNER_PRODUCT)
    index.train(rows)
    index.add(rows)
    query = rng.standard_normal((1, d)).astype(np.float32)
    scores, ids = index.search(query, 20)
    codes = RaBitQCodes(faiss.downcast_index(index))
    decoded = codes.decode(ids[0])
    # FAISS adds the exact product of centre and row where the decoded row has the estimated one.
    centre = faiss.vector_to_array(faiss.downcast_index(index).center)
    corrected = decoded @ query[0] + (rows[ids[0]] - decoded) @ centre
    np.testing.assert_allclose(corrected, scores[0], rtol=1e-3, atol=1e-3 * np.abs(scores).max())


@pytest.mark.parametrize(("bits", "cosine"), [(2, 0.85), (4, 0.99), (6, 0.999), (8, 0.9999), (9, 0.9999)])
def test_more_bits_decode_more_exactly(bits: int, cosine: float) -> None:
    rows = np.random.default_rng(0).standard_normal((50, 128)).astype(np.float32)
    index = faiss.index_factory(128, f"RaBitQ{bits}", faiss.METRIC_INNER_PRODUCT)
    index.train(rows)
    index.add(rows)
    decoded = RaBitQCodes(faiss.downcast_index(index)).decode(np.arange(50))
    norms = np.linalg.norm(decoded, axis=1) * np.linalg.norm(rows, axis=1)
    assert np.min(np.sum(decoded * rows, axis=1) / norms) >= cosine
