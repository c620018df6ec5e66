"""Rendered frames: the same seed gives the same frame, sets are disjoint, the folder is what PLANT.md says."""

import csv
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest

from demo.captions import compose_caption, compose_training_text
from demo.render_frames import (
    CAMERAS,
    HELD_OUT,
    INDEXED,
    LABELS,
    TRAIN,
    caption,
    family_of,
    plan_frames,
    render_frame,
    write_frames,
)

PLANT = Path(__file__).parents[2] / "demo" / "PLANT.md"


def labels_in_plan() -> dict[str, str]:
    """label → family, from the table under "Frame labels"."""
    table = PLANT.read_text().split("## Frame labels")[1].split("## Questions")[0]
    labels = {}
    for line in table.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if len(cells) == 2 and cells[0].startswith("`"):
            labels.update({label.strip(" `"): cells[0].strip("`") for label in cells[1].split(",")})
    return labels


def test_labels_and_families_are_those_of_the_plan() -> None:
    assert {label: family_of(label) for label in LABELS} == labels_in_plan()


def test_the_indexed_set_has_at_least_600_frames_with_names_of_their_own() -> None:
    infos = [info for _, info in plan_frames()]
    assert len(infos) >= 600
    assert len({(info.family, info.file) for info in infos}) == len(infos)


def test_seeds_of_the_three_sets_are_disjoint() -> None:
    assert TRAIN.stop <= INDEXED.start
    assert INDEXED.stop <= HELD_OUT.start


@pytest.mark.parametrize("label", LABELS)
def test_a_frame_is_an_rgb_picture_with_contrast(label: str) -> None:
    frame = render_frame(label, HELD_OUT.start + 11)
    assert (frame.size, frame.mode) == ((320, 240), "RGB")
    assert np.asarray(frame.convert("L")).std() > 8


def test_the_same_seed_gives_the_same_frame_and_another_seed_another() -> None:
    first, again, other = (np.asarray(render_frame("gauge-high", seed)) for seed in (5, 5, 6))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_harsher_cameras_change_the_picture_and_not_the_scene_drawn() -> None:
    mild, harsh = (np.asarray(render_frame("strip-scale", 9, harshness)) for harshness in (0.0, 1.3))
    assert not np.array_equal(mild, harsh)


def test_an_unknown_label_is_refused() -> None:
    with pytest.raises(KeyError):
        render_frame("gauge-sideways", 1)


def test_captions_vary_and_read_as_sentences() -> None:
    captions = {caption("belt-torn", seed) for seed in range(60)}
    assert len(captions) > 30
    assert all(text[0].isupper() and text.endswith(".") and "{" not in text for text in captions)


@pytest.mark.parametrize("label", LABELS)
def test_wordings_of_a_label_are_many(label: str) -> None:
    rng = np.random.default_rng(3)
    assert len({compose_training_text(label, rng) for _ in range(200)}) > 150
    assert compose_caption(label, rng)


def test_the_folder_holds_every_frame_once_with_its_row(tmp_path: Path) -> None:
    count = write_frames(tmp_path, per_label=1, seed=HELD_OUT.start)
    assert count == len(LABELS)
    for family, cameras in CAMERAS.items():
        with (tmp_path / family / "labels.csv").open(newline="") as file:
            rows = list(csv.DictReader(file))
        assert list(rows[0]) == ["file", "label", "family", "camera_id", "time", "caption"]
        assert {row["file"] for row in rows} == {path.name for path in (tmp_path / family).glob("*.jpg")}
        assert {row["label"] for row in rows} == {label for label in LABELS if family_of(label) == family}
        assert all(row["camera_id"] in cameras and datetime.fromisoformat(row["time"]).tzinfo for row in rows)


@pytest.mark.slow
def test_writing_with_several_processes_gives_the_same_bytes(tmp_path: Path) -> None:
    for name, processes in (("one", 1), ("two", 2)):
        write_frames(tmp_path / name, per_label=1, seed=INDEXED.start, processes=processes)
    files = sorted(path.relative_to(tmp_path / "one") for path in (tmp_path / "one").rglob("*.*"))
    assert len(files) == len(LABELS) + len(CAMERAS)
    assert all((tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes() for file in files)
