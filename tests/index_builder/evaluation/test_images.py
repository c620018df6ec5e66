"""Labelled folders: what is read of them, and leave-one-out figures by hand."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from index_builder.evaluation.images import evaluate_images, read_labelled_images
from index_builder.evaluation.vector_cache import VectorCache
from lineside.encoders import JointEncoder
from lineside.errors import DataError
from tests.index_builder.conftest import picture


def write_images(root: Path, rows: str, names: list[str], below: str = "") -> Path:
    (root / below).mkdir(parents=True, exist_ok=True)
    (root / "labels.csv").write_text(rows, encoding="utf-8")
    for n, name in enumerate(names):
        picture(n).save(root / below / name)
    return root


@pytest.mark.parametrize("below", ["", "images"])
def test_files_lie_in_the_folder_or_in_images(tmp_path: Path, below: str) -> None:
    folder = write_images(tmp_path, "file,label,boxes\na.png,leak,[]\nb.png,dry,[]\n", ["a.png", "b.png"], below)
    found = read_labelled_images(folder)
    assert [f.name for f in found.files] == ["a.png", "b.png"]
    assert found.labels == ("leak", "dry")


def test_rows_that_cannot_be_used_are_counted(tmp_path: Path) -> None:
    rows = "file,label\na.png,leak\nb.png,dry\na.png,leak\nb.png,\ngone.png,dry\n../secret.png,dry\n"
    folder = write_images(tmp_path / "frames", rows, ["a.png", "b.png"])
    picture(9).save(tmp_path / "secret.png")
    assert set(read_labelled_images(folder).warnings) == {
        "2 files are not there and are left out",
        "1 rows have no label and are left out",
        "1 rows repeat a file and are left out",
    }


@pytest.mark.parametrize(("rows", "message"), [("name,class\n", "columns file and label"), ("file,label\n", "two are")])
def test_a_table_that_cannot_be_used_is_an_error(tmp_path: Path, rows: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_labelled_images(write_images(tmp_path, rows, []))
    with pytest.raises(DataError, match=r"labels.csv is missing"):
        read_labelled_images(tmp_path / "nowhere")


def test_copies_are_each_others_nearest_and_the_odd_one_out_is_wrong(
    tmp_path: Path, vision_encoder: JointEncoder
) -> None:
    rows = "file,label\na1.png,leak\na2.png,leak\nb1.png,dry\nb2.png,dry\nodd.png,worn\nbroken.png,worn\n"
    folder = write_images(tmp_path, rows, [])
    for name, seed in (("a1", 1), ("a2", 1), ("b1", 2), ("b2", 2), ("odd", 3)):
        picture(seed).save(folder / f"{name}.png")
    (folder / "broken.png").write_bytes(b"no image")
    with VectorCache(tmp_path / "cache", vision_encoder.fingerprint, vision_encoder.dimension) as cache:
        report = evaluate_images(read_labelled_images(folder), vision_encoder, cache, model="tiny")
    assert report.images == 5
    assert report.accuracy == pytest.approx(0.8)
    assert report.map == 1.0
    assert report.accuracy_by_label == {"dry": 1.0, "leak": 1.0, "worn": 0.0}
    assert "1 images cannot be decoded and are left out" in report.warnings


def test_average_precision_counts_every_image_of_the_label(tmp_path: Path, vision_encoder: JointEncoder) -> None:
    """Three of one label, two of them copies, and a stranger: the copy comes first for both, whatever comes second."""
    folder = write_images(tmp_path, "file,label\na.png,x\nb.png,x\nc.png,x\nd.png,y\n", [])
    Image.new("RGB", (40, 40), "white").save(folder / "a.png")
    Image.new("RGB", (40, 40), "white").save(folder / "b.png")
    picture(5).save(folder / "c.png")
    picture(5).save(folder / "d.png")
    with VectorCache(tmp_path / "cache", vision_encoder.fingerprint, vision_encoder.dimension) as cache:
        report = evaluate_images(read_labelled_images(folder), vision_encoder, cache, model="tiny")
    # a and b find each other first and c second or third; c finds d, its copy, before a and b.
    second_or_third = {(1 + 1) / 2, (1 + 2 / 3) / 2}
    last = (1 / 2 + 2 / 3) / 2
    assert any(report.map == pytest.approx((2 * value + last) / 3, abs=1e-4) for value in second_or_third)
    assert report.accuracy == pytest.approx(0.5)
