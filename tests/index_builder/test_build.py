"""A source folder becomes a release; what cannot be read is reported and costs nothing else."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from index_builder.build import BuildReport, build_release
from index_builder.settings import BuildSettings, ModelSettings
from lineside.encoders import JointEncoder, TextEncoder
from lineside.errors import DataError, NotFound
from lineside.releases import Catalogue
from lineside.search import ReleaseIndex
from lineside.search.contract import SearchQuery
from tests.index_builder.conftest import CountingEncoders, Plant, picture


def ids(report: BuildReport) -> dict[str, str]:
    return {shard.family: shard.id for shard in report.release.shards}


def test_a_folder_of_manuals_and_images_becomes_the_current_release(plant: Plant, text_encoder: TextEncoder) -> None:
    report = plant.build(note="first")
    counts = report.counts
    assert (counts.documents, counts.figures, counts.frames, report.errors) == (2, 1, 6, ())
    assert counts.passages >= 3
    release = plant.catalogue.current()
    assert release == report.release
    assert (release.note, [shard.family for shard in release.shards]) == ("first", ["drive", "pump"])
    assert release.fingerprints["text"] == text_encoder.fingerprint
    assert release.fingerprints["joint"] == plant.encoders.joint.fingerprint
    assert release.fingerprints["chunker"]


def test_what_was_built_is_found(plant: Plant, text_encoder: TextEncoder, joint_encoder: JointEncoder) -> None:
    report = plant.build()
    index = ReleaseIndex.open(plant.catalogue.paths(report.release), report.release.number)
    question = "Which seal kit is used for a leaking seal?"
    (found,) = index.search_batch(
        [
            SearchQuery(
                text=question,
                text_vector=text_encoder.encode([question])[0],
                image_vector=joint_encoder.encode_images([picture(11)])[0],
            )
        ]
    )
    assert "HX-200/A" in found.evidence[0].text
    nearest = next(e for e in found.evidence if e.kind == "frame")
    assert (nearest.label, nearest.camera_id, nearest.source) == ("leak", "cam1", "frames/pump/cam1-1.png")


def test_the_same_input_gives_the_same_shards(plant: Plant, tmp_path: Path) -> None:
    first = plant.build()
    copy = replace(plant, source=shutil.copytree(plant.source, tmp_path / "copy"), store=tmp_path / "elsewhere")
    assert ids(copy.build()) == ids(first)


def test_a_process_for_each_parser_gives_the_same_shards(plant: Plant, tmp_path: Path) -> None:
    assert ids(plant.build(isolated=True)) == ids(replace(plant, store=tmp_path / "elsewhere").build())


def test_bad_files_are_reported_and_the_rest_is_built(plant: Plant, tmp_path: Path) -> None:
    first = plant.build()
    (plant.source / "pump" / "broken.pdf").write_bytes(b"%PDF-1.7 this is no PDF")
    (plant.source / "pump" / "empty.md").write_bytes(b"")
    (plant.source / "pump" / "archive.zip").write_bytes(b"PK\x03\x04")
    broken = (plant.source / "pump" / "seal.png").read_bytes()[:60]
    (plant.source / "frames" / "pump" / "cam2-1.png").write_bytes(broken)
    report = plant.build()
    assert [error.path for error in report.errors] == ["frames/pump/cam2-1.png", "pump/broken.pdf", "pump/empty.md"]
    assert all(error.advice for error in report.errors)
    assert ids(report) == ids(first)
    assert not report.is_new


def test_long_strips_and_scans_that_the_parsers_take_are_encoded(plant: Plant) -> None:
    picture(3, 20_000, 100).save(plant.source / "frames" / "pump" / "line-scan-1.png")
    picture(4, 60, 40).convert("1").save(plant.source / "frames" / "pump" / "scan-2.tif")
    report = plant.build()
    assert (report.counts.frames, report.errors, report.warnings) == (8, (), ())


def test_frames_can_be_indexed_by_a_backbone_that_reads_no_text(
    plant: Plant, vision: ModelSettings, vision_encoder: JointEncoder, text_encoder: TextEncoder
) -> None:
    own = replace(plant, joint=vision, encoders=CountingEncoders(text_encoder, vision_encoder))
    report = own.build()
    index = ReleaseIndex.open(own.catalogue.paths(report.release), 1)
    query = SearchQuery(
        text="what is this",
        text_vector=text_encoder.encode(["what is this"])[0],
        image_vector=vision_encoder.encode_images([picture(12)])[0],
        family="pump",
    )
    (found,) = index.search_batch([query])
    nearest = max((e for e in found.evidence if e.kind == "frame"), key=lambda e: e.scores["image"])
    assert nearest.source == "frames/pump/cam1-2.png"


def test_manuals_are_built_without_a_joint_encoder(plant: Plant) -> None:
    report = replace(plant, joint=None).build()
    assert report.release.fingerprints["joint"] == ""
    assert report.counts.frames == 6


def test_a_family_may_consist_of_frames_alone(plant: Plant) -> None:
    shutil.rmtree(plant.source)
    folder = plant.source / "frames" / "press"
    folder.mkdir(parents=True)
    picture(5).save(folder / "cam-1.png")
    report = plant.build()
    assert (report.counts.passages, report.counts.frames, [*ids(report)]) == (0, 1, ["press"])


def test_a_family_whose_only_document_is_empty_of_text_is_no_obstacle(plant: Plant) -> None:
    (plant.source / "press").mkdir()
    (plant.source / "press" / "note.txt").write_text("...\n")
    (plant.source / "press" / "note.md").write_text("---\ntitle: Nothing\n---\n")
    assert {"drive", "pump"} <= ids(plant.build()).keys()


@pytest.mark.parametrize("content", [{}, {"a.pdf": b"%PDF-1.7 no"}, {"a.zip": b"PK"}])
def test_a_folder_with_nothing_to_index_is_an_error_and_publishes_nothing(
    content: dict[str, bytes], plant: Plant
) -> None:
    shutil.rmtree(plant.source)
    plant.source.mkdir()
    for name, data in content.items():
        (plant.source / name).write_bytes(data)
    with pytest.raises(DataError, match="holds no documents and no frames"):
        plant.build()
    with pytest.raises(NotFound):
        plant.catalogue.current()


def test_a_source_that_is_not_there_is_an_error_that_names_it(tmp_path: Path, text: ModelSettings) -> None:
    with pytest.raises(DataError, match="nowhere is not a folder"):
        build_release(tmp_path / "nowhere", Catalogue(tmp_path / "store"), text, None, isolated=False)


def test_family_rules_name_the_family(plant: Plant) -> None:
    report = replace(plant, joint=None, settings=BuildSettings(family_rules={"drive/*": "motor"})).build()
    assert [*ids(report)] == ["motor", "pump"]


def test_progress_shows_every_stage(plant: Plant) -> None:
    lines: list[str] = []
    build_release(plant.source, plant.catalogue, plant.text, None, isolated=False, progress=lines.append)
    stages = list(dict.fromkeys(line.split()[0] for line in lines))
    assert stages == ["parsing", "embedding", "building", "release"]
    assert "8/8 files" in " ".join(lines)
