"""What a language model computes in."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lineside.generation import vllm
from lineside.generation.vllm import VllmSettings, compute_dtype


@pytest.mark.parametrize(
    ("settings", "bfloat16", "dtype"),
    [
        ({}, True, "bfloat16"),
        ({}, False, "float32"),
        ({"dtype": "bfloat16"}, False, "bfloat16"),  # said is said
        ({"dtype": "float16"}, True, "float16"),
        ({"quantization": "awq"}, False, "auto"),  # of vLLM: as the quantised model says
    ],
)
def test_bfloat16_is_not_emulated_unless_it_is_asked_for(
    settings: dict[str, Any], bfloat16: bool, dtype: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vllm, "computes_bfloat16", lambda: bfloat16)
    monkeypatch.setattr(vllm, "_has_gpu", lambda: False)
    assert compute_dtype(VllmSettings(model=Path("none"), **settings)) == dtype
