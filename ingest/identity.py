"""Names that stay the same across versions: ids of documents, reports and sections."""

from __future__ import annotations

import hashlib
import re
import unicodedata

_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")
_NOT_SLUG = re.compile(r"[^a-z0-9]+")
_MAX_ID_CHARS = 180
_MAX_SLUG_CHARS = 60


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:8]


def document_id(path: str) -> str:
    """URL-safe id of the source at `path` (posix, relative): `furnace/guide.md` becomes `furnace.guide.md`.

    The readable form is used where it can be turned back into the path, that is, where dots in the id can only be
    slashes or the one before the extension. Any other path gets a hash of itself appended, so ids never collide.
    """
    *folders, name = path.split("/")
    readable = ".".join((*folders, name))
    safe = _UNSAFE.sub("-", readable)[:_MAX_ID_CHARS]
    reversible = safe == readable and name.count(".") == 1 and not any("." in f or not f for f in folders)
    return safe if reversible else f"{safe}~{_digest(path)}"


def report_id(path: str, report: str) -> str:
    """Id of one report inside the file at `path`: `pump/incidents.jsonl`, `IR-7` become `pump.incidents.IR-7`."""
    base = document_id(path).removesuffix(".jsonl")
    safe = _UNSAFE.sub("-", report)[:_MAX_ID_CHARS]
    return f"{base}.{safe}" if safe == report and "." not in safe else f"{base}.{safe}~{_digest(report)}"


def slug(title: str) -> str:
    """Lower-case ASCII words of a title joined by hyphens; a hash where no ASCII letter or digit is left."""
    plain = unicodedata.normalize("NFKD", title).encode("ascii", "ignore").decode().lower()
    words = _NOT_SLUG.sub("-", plain).strip("-")[:_MAX_SLUG_CHARS].rstrip("-")
    return words or f"section-{_digest(title)}"
