"""Load is distinct, seeded and of the promised length."""

from __future__ import annotations

import base64
import io
import json
from pathlib import Path

import pytest
from PIL import Image

from benchmarks.queries import Vocabulary, frames, questions, write_bodies

WORDS = Vocabulary(("roll change",), ("E-101", "E-104"), ("How tight are the chock bolts?",))


def test_thousands_of_questions_are_distinct_and_the_same_for_a_seed() -> None:
    found = questions(5_000, seed=1)
    assert len(set(found)) == 5_000
    assert found == questions(5_000, seed=1)
    assert found != questions(5_000, seed=2)


def test_questions_have_the_length_of_typed_ones() -> None:
    words = [len(q.split()) for q in questions(1_000)]
    assert 9 <= sum(words) / len(words) <= 16


def test_answerable_share_wraps_tuning_questions() -> None:
    found = questions(400, answerable_share=0.75, vocabulary=WORDS)
    assert 250 < sum("chock bolts" in q for q in found) < 350


def test_too_small_a_vocabulary_is_an_error() -> None:
    with pytest.raises(ValueError, match="distinct"):
        questions(16_000, answerable_share=1.0, vocabulary=WORDS)


def test_frames_are_distinct_jpegs_of_the_asked_size() -> None:
    found = list(frames(12, side=(320, 240)))
    assert len(set(found)) == 12
    with Image.open(io.BytesIO(found[0])) as image:
        assert (image.format, image.size) == ("JPEG", (320, 240))


def test_kinds_share_no_question(tmp_path: Path) -> None:
    texts, both = (write_bodies(tmp_path / k, k, 6, k=8).read_text().splitlines() for k in ("text", "image+text"))
    asked = [json.loads(line) for line in texts + both]
    assert len({body["question"] for body in asked}) == 12
    assert base64.b64decode(asked[-1]["image"]).startswith(b"\xff\xd8")
    assert "image" not in asked[0]
