"""Reads a source folder into documents, passages, figures and frames; a bad file costs a row in the report."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from ingest.chunk import CountTokens, chunk
from ingest.frames import read_frames
from ingest.limits import DEFAULT_LIMITS, ParseLimits
from ingest.parse import is_document, parse
from ingest.source import folder_resolver, read_folder
from lineside.documents import Document, Frame, Passage
from lineside.errors import ParseError


@dataclass(slots=True)
class Knowledge:
    """What a source holds, and what of it could not be read."""

    documents: list[Document] = field(default_factory=list)
    passages: list[Passage] = field(default_factory=list)
    frames: list[Frame] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    @property
    def families(self) -> list[str]:
        return sorted({d.family for d in self.documents} | {f.family for f in self.frames})


def read_knowledge(
    root: Path,
    *,
    count_tokens: CountTokens,
    max_tokens: int,
    family_rules: dict[str, str] | None = None,
    limits: ParseLimits = DEFAULT_LIMITS,
) -> Knowledge:
    """Everything below `root`.

    Raises:
        NotADirectoryError: `root` is not a folder.
    """
    knowledge = Knowledge()
    for source in read_folder(root, limits):
        if not is_document(source.path):
            continue
        try:
            parsed = parse(
                source,
                family_rules=family_rules,
                resolve=folder_resolver(root, source.path, limits),
                limits=limits,
            )
        except ParseError as error:
            knowledge.errors.append(str(error))
            continue
        knowledge.warnings.extend(parsed.warnings)
        for document in parsed.documents:
            knowledge.documents.append(document)
            knowledge.passages.extend(chunk(document, count_tokens=count_tokens, max_tokens=max_tokens))
    knowledge.frames.extend(read_frames(root, family_rules=family_rules, limits=limits, warnings=knowledge.warnings))
    return knowledge
