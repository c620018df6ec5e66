"""Sampling is bounded, and greedy unless told otherwise."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from lineside.generation import Sampling


def test_answers_copy_and_do_not_vary_by_default() -> None:
    assert Sampling().temperature == 0


@pytest.mark.parametrize(
    "fields",
    [
        {"max_tokens": 0},
        {"max_tokens": 5_000},
        {"temperature": -0.1},
        {"temperature": 3},
        {"repetition_penalty": 0.5},
        {"stop": ["x"] * 9},
        {"top_p": 0.9},
    ],
    ids=lambda fields: "-".join(fields),
)
def test_sampling_out_of_bounds_is_refused(fields: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Sampling.model_validate(fields)
