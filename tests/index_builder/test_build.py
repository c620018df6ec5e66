"""A source folder becomes a release; what cannot be read is reported and costs nothing else."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from index_builder.build import BuildReport, BuildSettings, build_release
from lineside.encoders import JointEncoder, TextEncoder
from lineside.errors import DataError, NotFound
from lineside.releases import Catalogue
from lineside.search import ReleaseIndex
from lineside.search.contract import SearchQuery
from tests.index_builder.conftest import DRIVE, picture, write_plant


@pytest.fixture(scope="module")
def built(
    tmp_path_factory: pytest.TempPathFactory, text: TextEncoder, joint: JointEncoder
) -> tuple[Path, Catalogue, BuildReport]:
    """The plant's source, its catalogue and the report of the first build."""
    folder = tmp_path_factory.mktemp("plant")
    source, catalogue = write_plant(folder / "source"), Catalogue(folder / "store")
    return source, catalogue, build_release(source, catalogue, text, joint, note="first")


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A copy of the plant's source that a test may spoil."""
    return write_plant(tmp_path / "source")


def _ids(report: BuildReport) -> dict[str, str]:
    return {shard.family: shard.id for shard in report.release.shards}


def test_a_folder_of_manuals_and_images_becomes_the_current_release(
    built: tuple[Path, Catalogue, BuildReport], text: TextEncoder, joint: JointEncoder
) -> None:
    _, catalogue, report = built
    assert (report.documents, report.figures, report.frames, report.errors) == (2, 1, 6, ())
    assert report.passages >= 3
    release = catalogue.current()
    assert release == report.release
    assert (release.note, [shard.family for shard in release.shards]) == ("first", ["drive", "pump"])
    assert release.fingerprints["text"] == text.fingerprint
    assert release.fingerprints["joint"] == joint.fingerprint
    assert release.fingerprints["chunker"]


def test_what_was_built_is_found(
    built: tuple[Path, Catalogue, BuildReport], text: TextEncoder, joint: JointEncoder
) -> None:
    _, catalogue, report = built
    index = ReleaseIndex.open(catalogue.paths(report.release), report.release.number)
    question = "Which seal kit is used for a leaking seal?"
    (found,) = index.search_batch(
        [
            SearchQuery(
                text=question,
                text_vector=text.encode([question])[0],
                image_vector=joint.encode_images([picture(11)])[0],
            )
        ]
    )
    assert "HX-200/A" in found.evidence[0].text
    nearest = next(e for e in found.evidence if e.kind == "frame")
    assert (nearest.label, nearest.camera_id, nearest.source) == ("leak", "cam1", "frames/pump/cam1-1.png")


def test_the_same_input_gives_the_same_shards(
    built: tuple[Path, Catalogue, BuildReport], tmp_path: Path, text: TextEncoder, joint: JointEncoder
) -> None:
    source, _, first = built
    elsewhere = build_release(shutil.copytree(source, tmp_path / "copy"), Catalogue(tmp_path / "s"), text, joint)
    assert _ids(elsewhere) == _ids(first)


def test_a_change_in_one_family_leaves_the_other_families_shard(
    built: tuple[Path, Catalogue, BuildReport], source: Path, tmp_path: Path, text: TextEncoder, joint: JointEncoder
) -> None:
    _, _, first = built
    (source / "drive" / "manual.md").write_text(DRIVE.replace("95", "90"), encoding="utf-8")
    second = build_release(source, Catalogue(tmp_path / "store"), text, joint)
    assert _ids(second)["pump"] == _ids(first)["pump"]
    assert _ids(second)["drive"] != _ids(first)["drive"]


def test_bad_files_are_reported_and_the_rest_is_built(
    built: tuple[Path, Catalogue, BuildReport], source: Path, tmp_path: Path, text: TextEncoder, joint: JointEncoder
) -> None:
    _, _, first = built
    (source / "pump" / "broken.pdf").write_bytes(b"%PDF-1.7 this is no PDF")
    (source / "pump" / "empty.md").write_bytes(b"")
    (source / "pump" / "archive.zip").write_bytes(b"PK\x03\x04")
    (source / "frames" / "pump" / "cam2-1.png").write_bytes((source / "pump" / "seal.png").read_bytes()[:60])
    report = build_release(source, Catalogue(tmp_path / "store"), text, joint)
    assert [error.split(":")[0] for error in report.errors] == ["pump/broken.pdf", "pump/empty.md"]
    assert any(warning.startswith("frames/pump/cam2-1.png was left out") for warning in report.warnings)
    assert _ids(report) == _ids(first)


def test_long_strips_and_scans_that_the_parsers_take_are_encoded(
    source: Path, tmp_path: Path, text: TextEncoder, joint: JointEncoder
) -> None:
    picture(3, 20_000, 100).save(source / "frames" / "pump" / "line-scan-1.png")
    picture(4, 60, 40).convert("1").save(source / "frames" / "pump" / "scan-2.tif")
    report = build_release(source, Catalogue(tmp_path / "store"), text, joint)
    assert (report.frames, report.warnings) == (8, ())


def test_frames_can_be_indexed_by_a_backbone_that_reads_no_text(
    source: Path, tmp_path: Path, text: TextEncoder, vision: JointEncoder
) -> None:
    catalogue = Catalogue(tmp_path / "store")
    report = build_release(source, catalogue, text, vision)
    index = ReleaseIndex.open(catalogue.paths(report.release), 1)
    query = SearchQuery(
        text="what is this",
        text_vector=text.encode(["what is this"])[0],
        image_vector=vision.encode_images([picture(12)])[0],
        family="pump",
    )
    (found,) = index.search_batch([query])
    nearest = max((e for e in found.evidence if e.kind == "frame"), key=lambda e: e.scores["image"])
    assert nearest.source == "frames/pump/cam1-2.png"


def test_manuals_are_built_without_a_joint_encoder(source: Path, tmp_path: Path, text: TextEncoder) -> None:
    report = build_release(source, Catalogue(tmp_path / "store"), text, None)
    assert report.release.fingerprints["joint"] == ""
    assert report.frames == 6


def test_a_family_may_consist_of_frames_alone(tmp_path: Path, text: TextEncoder, joint: JointEncoder) -> None:
    folder = tmp_path / "source" / "frames" / "press"
    folder.mkdir(parents=True)
    picture(5).save(folder / "cam-1.png")
    report = build_release(tmp_path / "source", Catalogue(tmp_path / "store"), text, joint)
    assert (report.passages, report.frames, [*_ids(report)]) == (0, 1, ["press"])


def test_a_family_whose_only_document_is_empty_of_text_is_no_obstacle(
    source: Path, tmp_path: Path, text: TextEncoder, joint: JointEncoder
) -> None:
    (source / "press").mkdir()
    (source / "press" / "note.txt").write_text("...\n")
    (source / "press" / "note.md").write_text("---\ntitle: Nothing\n---\n")
    report = build_release(source, Catalogue(tmp_path / "store"), text, joint)
    assert {"drive", "pump"} <= _ids(report).keys()


@pytest.mark.parametrize("content", [{}, {"a.pdf": b"%PDF-1.7 no"}, {"a.zip": b"PK"}])
def test_a_folder_with_nothing_to_index_is_an_error_and_publishes_nothing(
    content: dict[str, bytes], tmp_path: Path, text: TextEncoder, joint: JointEncoder
) -> None:
    (tmp_path / "source").mkdir()
    for name, data in content.items():
        (tmp_path / "source" / name).write_bytes(data)
    catalogue = Catalogue(tmp_path / "store")
    with pytest.raises(DataError, match="holds no documents and no frames"):
        build_release(tmp_path / "source", catalogue, text, joint)
    with pytest.raises(NotFound):
        catalogue.current()


def test_a_source_that_is_not_there_is_an_error_that_names_it(
    tmp_path: Path, text: TextEncoder, joint: JointEncoder
) -> None:
    with pytest.raises(DataError, match="nowhere is not a folder"):
        build_release(tmp_path / "nowhere", Catalogue(tmp_path / "store"), text, joint)


def test_family_rules_name_the_family(source: Path, tmp_path: Path, text: TextEncoder) -> None:
    settings = BuildSettings(family_rules={"drive/*": "motor"})
    report = build_release(source, Catalogue(tmp_path / "store"), text, None, settings=settings)
    assert [*_ids(report)] == ["motor", "pump"]


def test_progress_names_every_family(source: Path, tmp_path: Path, text: TextEncoder) -> None:
    lines: list[str] = []
    build_release(source, Catalogue(tmp_path / "store"), text, None, progress=lines.append)
    assert lines[0].startswith("2 documents")
    assert [line.split(":")[0] for line in lines[1:]] == ["[1/2] drive", "[2/2] pump"]
