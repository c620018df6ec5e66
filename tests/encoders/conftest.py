"""Prepared and random models that the encoder tests share; each is loaded once."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from lineside.encoders import Runtime, TextEncoder, load_text_encoder

OPENVINO = Runtime(engine="openvino", dtype="bfloat16")
TORCH_FP32 = Runtime(engine="torch", dtype="float32")


def cosines(a: NDArray[np.float32], b: NDArray[np.float32]) -> NDArray[np.float32]:
    """Row by row; the rows have length 1."""
    return np.einsum("nd,nd->n", a, b)


def photographs(count: int) -> list[Image.Image]:
    """Images of many sizes and shapes that differ."""
    rng = np.random.default_rng(5)
    return [
        Image.fromarray(rng.integers(0, 255, (4, 5, 3), dtype=np.uint8)).resize(
            (int(rng.integers(20, 200)), int(rng.integers(20, 200)))
        )
        for _ in range(count)
    ]


@pytest.fixture(scope="session")
def minilm(models_dir: Path) -> Path:
    return models_dir / "minilm"


@pytest.fixture(scope="session")
def text_encoder(minilm: Path) -> TextEncoder:
    """As in production."""
    return load_text_encoder(minilm, runtime=OPENVINO)


@pytest.fixture(scope="session")
def exact_text_encoder(minilm: Path) -> TextEncoder:
    """The reference."""
    return load_text_encoder(minilm, runtime=TORCH_FP32)
