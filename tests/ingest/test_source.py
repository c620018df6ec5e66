"""Reading a folder: fixed order, nothing from outside it, nothing too large, families by rule."""

from __future__ import annotations

from pathlib import Path

import pytest

from ingest.limits import ParseLimits
from ingest.parse import parse
from ingest.source import family_of, folder_resolver, read_folder
from lineside.errors import ParseError


def test_files_come_sorted_with_posix_paths_and_without_hidden_ones(tmp_path: Path) -> None:
    for path in ("b/two.md", "a/one.md", ".git/config", "b/.hidden.md", "a.md"):
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_text("text")
    assert [source.path for source in read_folder(tmp_path)] == ["a.md", "a/one.md", "b/two.md"]


def test_a_link_out_of_the_folder_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "secret.md").write_text("secret")
    root = tmp_path / "root"
    root.mkdir()
    (root / "link.md").symlink_to(tmp_path / "secret.md")
    (root / "folder").symlink_to(tmp_path, target_is_directory=True)
    found = list(read_folder(root))
    assert all(not source.data for source in found)
    with pytest.raises(ParseError, match="outside the source folder"):
        parse(next(source for source in found if source.path == "link.md"))


def test_a_file_over_the_limit_is_an_error_row(tmp_path: Path) -> None:
    (tmp_path / "big.md").write_bytes(b"x" * 11)
    (tmp_path / "small.md").write_bytes(b"x" * 10)
    big, small = read_folder(tmp_path, ParseLimits(max_source_bytes=10))
    assert big.data == b""
    assert "11 bytes" in (big.error or "")
    assert small.error is None


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NotADirectoryError):
        list(read_folder(tmp_path / "nothing"))


@pytest.mark.parametrize(
    ("path", "front_matter", "family"),
    [
        ("pump/guide.md", {"family": "welder"}, "welder"),
        ("shared/pump-p101.md", {}, "pump"),
        ("pump/sub/guide.md", {}, "pump"),
        ("frames/coiler/cam-1.png", {}, "coiler"),
        ("guide.md", {}, "general"),
        ("guide.md", {"family": "  "}, "general"),
    ],
)
def test_family_comes_from_front_matter_then_rules_then_folder(
    path: str, front_matter: dict[str, object], family: str
) -> None:
    assert family_of(path, front_matter, {"shared/pump-*": "pump"}) == family


def test_images_resolve_below_the_root_only(tmp_path: Path) -> None:
    root = tmp_path / "root"
    (root / "pump" / "figures").mkdir(parents=True)
    (root / "pump" / "figures" / "a.png").write_bytes(b"a")
    (root / "b.png").write_bytes(b"b")
    (tmp_path / "secret.png").write_bytes(b"s")
    resolve = folder_resolver(root, "pump/guide.md")
    assert resolve("figures/a.png") == b"a"
    assert resolve("./figures/../figures/a.png") == b"a"
    assert resolve("../b.png") == b"b"
    assert resolve("/b.png") == b"b"
    for link in ("../../secret.png", "/../secret.png", "figures/none.png", "", "..", "a\0b"):
        assert resolve(link) is None
