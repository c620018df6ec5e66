"""Where files come from: a folder, read in a fixed order, with nothing outside it in reach."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath

from ingest.limits import DEFAULT_LIMITS, ParseLimits

GENERAL_FAMILY = "general"


@dataclass(frozen=True, slots=True)
class SourceFile:
    """The bytes of one file. `path` is posix and relative to the source's root.

    `error` is set, and `data` empty, where the file could not be read; `parse` turns it into a `ParseError`.
    """

    path: str
    data: bytes
    error: str | None = None

    @property
    def extension(self) -> str:
        """Lower-case extension with its dot, or an empty string."""
        return PurePosixPath(self.path).suffix.lower()

    @property
    def version(self) -> str:
        """First 12 hex digits of the sha256 of the bytes."""
        return hashlib.sha256(self.data).hexdigest()[:12]


def read_file(root: Path, path: str, limits: ParseLimits = DEFAULT_LIMITS) -> SourceFile:
    """Read `path` below `root`; a file that is too large, unreadable or outside the root comes with its `error`."""
    file = root / path
    try:
        resolved = file.resolve(strict=True)
        if not resolved.is_relative_to(root.resolve()):
            return SourceFile(path, b"", f"leads outside the source folder: replace the link {path!r} by the file")
        if not resolved.is_file():
            return SourceFile(path, b"", f"is not a regular file: remove {path!r} from the source folder")
        size = resolved.stat().st_size
        if size > limits.max_source_bytes:
            return SourceFile(
                path, b"", f"has {size} bytes, over the limit of {limits.max_source_bytes}: split it or raise the limit"
            )
        with resolved.open("rb") as stream:
            data = stream.read(limits.max_source_bytes + 1)
    except (OSError, RuntimeError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        return SourceFile(path, b"", f"cannot be read ({reason}): check the file and its permissions")
    if len(data) > limits.max_source_bytes:
        return SourceFile(path, b"", f"grew over the limit of {limits.max_source_bytes} bytes while it was read")
    return SourceFile(path, data)


def list_folder(root: Path) -> list[str]:
    """Sorted posix paths of the files below `root`, hidden ones left out; linked folders are not entered."""
    found = []
    for folder, subfolders, files in os.walk(root, followlinks=False):
        subfolders[:] = [name for name in subfolders if not name.startswith(".")]
        found += [(Path(folder) / name).relative_to(root).as_posix() for name in files if not name.startswith(".")]
    return sorted(found)


def read_folder(root: Path, limits: ParseLimits = DEFAULT_LIMITS) -> Iterator[SourceFile]:
    """Every file below `root`, sorted by path, one in memory at a time.

    Raises: NotADirectoryError when `root` is not a folder.
    """
    if not root.is_dir():
        raise NotADirectoryError(f"{root} is not a folder")
    for path in list_folder(root):
        yield read_file(root, path, limits)


def family_of(path: str, front_matter: Mapping[str, object], rules: Mapping[str, str] | None = None) -> str:
    """Equipment family of a source: its front matter, then the first matching rule (glob of the path → family),
    then the first folder, else `general`. A folder named `frames` only holds images of families: the next one counts.
    """
    named = front_matter.get("family")
    if isinstance(named, str) and named.strip():
        return named.strip()
    for pattern, family in (rules or {}).items():
        if fnmatchcase(path, pattern):
            return family
    folders = PurePosixPath(path).parts[:-1]
    if len(folders) > 1 and folders[0] == "frames":
        return folders[1]
    return folders[0] if folders and folders[0] != "frames" else GENERAL_FAMILY


Resolve = Callable[[str], bytes | None]


def normalise_link(folder: str, link: str) -> str | None:
    """Path below the root that `link`, written in a document of `folder`, means; None where it leads outside.

    A link that starts with a slash counts from the root.
    """
    parts: list[str] = []
    for part in (link if link.startswith("/") else f"{folder}/{link}").split("/"):
        if part == "..":
            if not parts:
                return None
            parts.pop()
        elif part not in ("", "."):
            parts.append(part)
    return "/".join(parts)


def folder_resolver(root: Path, document_path: str, limits: ParseLimits = DEFAULT_LIMITS) -> Resolve:
    """How a document below `root` reads the images that it links to, never from outside `root`."""
    folder = PurePosixPath(document_path).parent.as_posix()

    def resolve(link: str) -> bytes | None:
        path = None if "\0" in link else normalise_link("" if folder == "." else folder, link)
        if not path:
            return None
        found = read_file(root, path, limits)
        return None if found.error else found.data

    return resolve
