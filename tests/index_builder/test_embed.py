"""Vectors stand at the rows they belong to; what is equal is encoded once."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from index_builder.embed import embed
from index_builder.read import Knowledge, read_knowledge
from lineside.encoders import JointEncoder, TextEncoder, read_image
from lineside.shards import encoder_text, sentence_spans
from tests.index_builder.conftest import write_plant


@pytest.fixture(scope="module")
def knowledge(tmp_path_factory: pytest.TempPathFactory, text: TextEncoder) -> Knowledge:
    root: Path = write_plant(tmp_path_factory.mktemp("plant") / "source")
    return read_knowledge(root, count_tokens=text.count_tokens, max_tokens=160)


def test_rows_are_passages_then_figures_then_frames(
    knowledge: Knowledge, text: TextEncoder, joint: JointEncoder
) -> None:
    figures = [figure for document in knowledge.documents for figure in document.figures]
    vectors = embed(knowledge.passages, figures, knowledge.frames, text, joint)
    assert vectors.joint is not None
    items = [*knowledge.passages, *figures, *knowledge.frames]
    assert len(vectors.text) == len(vectors.joint) == len(items)
    for row, item in enumerate(items):
        np.testing.assert_allclose(vectors.text[row], text.encode([encoder_text(item)])[0], atol=2e-5)
    for row, passage in enumerate(knowledge.passages):
        np.testing.assert_allclose(vectors.joint[row], joint.encode_texts([encoder_text(passage)])[0], atol=2e-5)
    for row, image in enumerate([*figures, *knowledge.frames], len(knowledge.passages)):
        expected = joint.encode_images([read_image(image.image, wanted_side=joint.image_side)])[0]
        np.testing.assert_allclose(vectors.joint[row], expected, atol=2e-5)


def test_every_sentence_has_a_row(knowledge: Knowledge, text: TextEncoder) -> None:
    vectors = embed(knowledge.passages, [], [], text, None)
    assert vectors.joint is None
    spans = sentence_spans(knowledge.passages)
    assert len(vectors.sentences) == len(spans)
    last = spans[-1]
    quoted = knowledge.passages[last.passage].text[last.start : last.end]
    np.testing.assert_allclose(vectors.sentences[-1], text.encode([quoted])[0], atol=2e-5)


def test_a_frame_without_words_has_no_place_in_text_search(
    knowledge: Knowledge, text: TextEncoder, joint: JointEncoder
) -> None:
    silent = [knowledge.frames[0].model_copy(update={"caption": "", "label": None}), knowledge.frames[1]]
    vectors = embed([], [], silent, text, joint)
    assert not vectors.text[0].any()
    assert np.linalg.norm(vectors.text[1]) == pytest.approx(1, abs=1e-5)


def test_images_alone_have_rows_where_the_encoder_reads_no_text(
    knowledge: Knowledge, text: TextEncoder, vision: JointEncoder
) -> None:
    vectors = embed(knowledge.passages, [], knowledge.frames, text, vision)
    assert vectors.joint is not None
    assert len(vectors.joint) == len(knowledge.frames)
    expected = [-1] * len(knowledge.passages) + list(range(len(knowledge.frames)))
    assert vectors.joint_rows is not None
    assert vectors.joint_rows.tolist() == expected


def test_equal_images_are_encoded_once(
    knowledge: Knowledge, text: TextEncoder, joint: JointEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    counts: list[int] = []
    encode = joint.encode_images
    monkeypatch.setattr(joint, "encode_images", lambda images: counts.append(len(images)) or encode(images))
    twice = [*knowledge.frames, *(f.model_copy(update={"id": f.id + "-again"}) for f in knowledge.frames)]
    vectors = embed([], [], twice, text, joint)
    assert sum(counts) == len(knowledge.frames) == 6
    assert max(counts) <= joint.runtime.max_batch
    assert vectors.joint is not None
    np.testing.assert_array_equal(vectors.joint[:6], vectors.joint[6:])
