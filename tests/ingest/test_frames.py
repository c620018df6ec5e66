"""Frames: labels from CSV and sidecars; the images of manuals are none."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ingest.frames import parse_frame, plan_frames, read_frames
from ingest.limits import ParseLimits
from ingest.source import SourceFile, list_folder, read_file
from lineside.errors import ParseError

from .invariants import png


@pytest.fixture
def plant(tmp_path: Path) -> Path:
    files: dict[str, bytes] = {
        "frames/pump/cam1-0001.png": png(),
        "frames/pump/cam1-0002.png": png(colour="blue"),
        "frames/pump/cam1-0003.png": b"not an image",
        "frames/pump/labels.csv": (
            b"file,label,family,camera_id,time,caption\n"
            b"cam1-0001.png,seal-leak,pump,CAM-1,2025-01-02T03:04:05Z,Water below the seal\n"
            b"gone.png,seal-dry,pump,CAM-1,,\n"
        ),
        "welder/shots/w.png": png(),
        "welder/shots/w.png.json": json.dumps({"label": "weld-good", "camera_id": "W-2"}).encode(),
        "pump/figures/seal.png": png(),
    }
    for path, data in files.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes(data)
    return tmp_path


def test_labels_sidecars_and_the_frames_folder_make_frames_and_figures_do_not(plant: Path) -> None:
    plan = plan_frames(list_folder(plant), lambda path: read_file(plant, path))
    assert sorted(plan.frames) == [
        "frames/pump/cam1-0001.png",
        "frames/pump/cam1-0002.png",
        "frames/pump/cam1-0003.png",
        "welder/shots/w.png",
    ]
    assert len(plan.warnings) == 1
    assert "gone.png" in plan.warnings[0]


def test_a_frame_says_what_its_label_says_and_an_unlabelled_one_has_none(plant: Path) -> None:
    warnings: list[str] = []
    labelled, bare, sidecar = read_frames(plant, warnings=warnings)
    assert (labelled.label, labelled.family, labelled.camera_id) == ("seal-leak", "pump", "CAM-1")
    assert labelled.caption == "Water below the seal"
    assert labelled.time is not None
    assert labelled.time.year == 2025
    assert (bare.label, bare.family, bare.camera_id, bare.time) == (None, "pump", "cam1", None)
    assert (sidecar.label, sidecar.family, sidecar.camera_id) == ("weld-good", "welder", "W-2")
    assert labelled.id == "frames.pump.cam1-0001.png"
    assert any("cam1-0003.png was left out" in warning for warning in warnings)


def test_bad_label_files_are_reported_not_fatal() -> None:
    files = {
        "a/labels.csv": b"name,label\nx.png,y\n",
        "b/labels.csv": b"file,label,time\nx.png,y,never\n",
        "b/x.png.json": b"[1]",
    }
    plan = plan_frames(["a/x.png", "b/x.png", *files], lambda path: SourceFile(path, files[path]))
    assert len(plan.warnings) == 3
    assert {path: label.label for path, label in plan.frames.items()} == {"a/x.png": None, "b/x.png": None}


def test_a_label_cannot_name_an_image_outside_the_source() -> None:
    labels = SourceFile("a/labels.csv", b"file,label\n../../etc/x.png,y\n")
    plan = plan_frames(["a/labels.csv"], lambda _: labels)
    assert not plan.frames
    assert len(plan.warnings) == 1


def test_an_image_over_the_pixel_limit_is_refused() -> None:
    with pytest.raises(ParseError, match="pixels"):
        parse_frame(SourceFile("frames/p/a.png", png(100, 100)), limits=ParseLimits(max_image_pixels=9_999))
