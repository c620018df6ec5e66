"""Vectors stand at the rows they belong to; what is equal is encoded once."""

from __future__ import annotations

import shutil
from dataclasses import replace

import numpy as np
import pytest

from index_builder.digests import split
from index_builder.encode import shard_vectors
from index_builder.parsed import Content, read_content
from index_builder.work import WorkArea
from lineside.encoders import JointEncoder, TextEncoder, read_image
from lineside.shards import ShardVectors, encoder_text, sentence_spans
from tests.index_builder.conftest import CountingEncoders, Plant


def contents(plant: Plant) -> tuple[WorkArea, Content]:
    """All that the built plant holds, with original images beside it."""
    work = WorkArea(plant.job(), str(plant.source))
    work.refresh_vectors()
    parts = [
        read_content(row["content"], row["images"], row["thumbnails"])
        for table in work.parsed.tables(work.parsed.names()).values()
        for row in table.to_pylist()
    ]
    figures = [figure for part in parts for figure in part.figures]
    frames = [frame for part in parts for frame in part.frames]
    images = [image for part in parts for image in part.images[: len(part.figures)]]
    images += [image for part in parts for image in part.images[len(part.figures) :]]
    passages = [passage for part in parts for passage in part.passages]
    return work, Content([], passages, figures, frames, images)


def vectors_of(work: WorkArea, content: Content) -> ShardVectors:
    return shard_vectors(content, work.text, work.joint_text, work.joint_image)


def test_rows_are_passages_then_figures_then_frames(
    plant: Plant, text_encoder: TextEncoder, joint_encoder: JointEncoder
) -> None:
    plant.build()
    work, content = contents(plant)
    vectors = vectors_of(work, content)
    assert vectors.joint is not None
    items = [*content.passages, *content.figures, *content.frames]
    assert len(vectors.text) == len(vectors.joint) == len(items) > 8
    for row, item in enumerate(items):
        np.testing.assert_allclose(vectors.text[row], text_encoder.encode([encoder_text(item)])[0], atol=2e-5)
    for row, passage in enumerate(content.passages):
        expected = joint_encoder.encode_texts([encoder_text(passage)])[0]
        np.testing.assert_allclose(vectors.joint[row], expected, atol=2e-5)
    sources = ["pump/seal.png", *(frame.source for frame in content.frames)]
    for row, source in enumerate(sources, len(content.passages)):
        image = read_image((plant.source / source).read_bytes(), wanted_side=joint_encoder.image_side)
        np.testing.assert_allclose(vectors.joint[row], joint_encoder.encode_images([image])[0], atol=2e-5)


def test_every_sentence_has_a_row(plant: Plant, text_encoder: TextEncoder) -> None:
    plant.build()
    work, content = contents(plant)
    vectors = vectors_of(work, content)
    spans = sentence_spans(content.passages)
    assert len(vectors.sentences) == len(spans)
    last = spans[-1]
    quoted = content.passages[last.passage].text[last.start : last.end]
    np.testing.assert_allclose(vectors.sentences[-1], text_encoder.encode([quoted])[0], atol=2e-5)


def test_a_frame_without_words_has_no_place_in_text_search(plant: Plant) -> None:
    labels = plant.source / "frames" / "pump" / "labels.csv"
    labels.write_text("file,label,caption\ncam1-0.png,,\ncam1-1.png,leak,A leak\n")
    plant.build()
    work, content = contents(plant)
    silent = next(frame for frame in content.frames if frame.source.endswith("cam1-0.png"))
    spoken = next(frame for frame in content.frames if frame.source.endswith("cam1-1.png"))
    images = dict(zip((f.id for f in content.frames), content.images[len(content.figures) :], strict=True))
    vectors = vectors_of(work, Content([], [], [], [silent, spoken], [images[silent.id], images[spoken.id]]))
    assert not vectors.text[0].any()
    assert np.linalg.norm(vectors.text[1]) == pytest.approx(1, abs=1e-5)


def test_images_alone_have_rows_where_the_encoder_reads_no_text(
    plant: Plant, text_encoder: TextEncoder, vision_encoder: JointEncoder, vision
) -> None:
    own = replace(plant, joint=vision, encoders=CountingEncoders(text_encoder, vision_encoder))
    own.build()
    work, content = contents(own)
    vectors = vectors_of(work, content)
    pictures = len(content.figures) + len(content.frames)
    assert vectors.joint is not None
    assert vectors.joint_rows is not None
    assert len(vectors.joint) == pictures
    assert vectors.joint_rows.tolist() == [-1] * len(content.passages) + list(range(pictures))


def test_equal_passages_sentences_and_images_are_encoded_once_across_the_corpus(plant: Plant) -> None:
    shutil.copytree(plant.source / "pump", plant.source / "spare")
    shutil.copytree(plant.source / "frames" / "pump", plant.source / "frames" / "spare")
    plant.build()
    assert set(plant.encoders.seen.values()) == {1}
    assert sum(kind == "image" for kind, _ in plant.encoders.seen) == 7


def test_an_image_that_the_encoder_cannot_take_is_a_warning_and_is_not_tried_again(
    plant: Plant, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(images: list[bytes]) -> tuple[np.ndarray, list[int]]:
        rows, _ = CountingEncoders.images(plant.encoders, images)
        rows[0] = 0
        return rows, [0]

    monkeypatch.setattr(plant.encoders, "images", refuse)
    report = plant.build()
    assert ["cannot be shown to the encoder" in row.reason for row in report.warnings] == [True]
    work, content = contents(plant)
    vectors = vectors_of(work, content)
    assert vectors.joint_rows is not None
    assert (vectors.joint_rows == -1).sum() == 1
    assert not plant.build().is_new
    assert len(split(b"".join(content.images))) == 7
