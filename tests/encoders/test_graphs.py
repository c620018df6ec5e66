"""What the compiled graphs compute in."""

from __future__ import annotations

import pytest

from lineside.encoders.graphs import precision_hint
from lineside.encoders.settings import Dtype

WITHOUT = ["WINOGRAD", "FP32", "INT8", "BIN", "EXPORT_IMPORT"]


@pytest.mark.parametrize(
    ("dtype", "capabilities", "hint"),
    [
        ("bfloat16", [*WITHOUT, "BF16"], "bf16"),
        ("int8", [*WITHOUT, "BF16"], "bf16"),
        ("float32", [*WITHOUT, "BF16"], "f32"),
        ("bfloat16", WITHOUT, "f32"),
        ("int8", WITHOUT, "f32"),
    ],
)
def test_bfloat16_is_never_emulated(dtype: Dtype, capabilities: list[str], hint: str) -> None:
    assert precision_hint(dtype, capabilities) == hint
