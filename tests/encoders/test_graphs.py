"""What the compiled graphs compute in."""

from __future__ import annotations

from itertools import product

import pytest

from lineside.encoders.graphs import precision_hint
from lineside.encoders.settings import Dtype


@pytest.mark.parametrize(("dtype", "bfloat16"), [*product(["bfloat16", "int8", "float32"], [True, False])])
def test_bfloat16_is_never_emulated(dtype: Dtype, bfloat16: bool) -> None:
    assert precision_hint(dtype, bfloat16) == ("bf16" if bfloat16 and dtype != "float32" else "f32")
