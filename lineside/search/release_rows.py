"""The rows of a release: what its shards hold, numbered as one, with everything that a search reads of them."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from lineside.errors import ShardError
from lineside.schema import Evidence
from lineside.search.dense_field import DenseField, FieldPart
from lineside.search.evidence import EvidenceRows
from lineside.search.filters import FilterColumns
from lineside.search.known_questions import KnownQuestions
from lineside.search.lexical_index import LexicalIndex
from lineside.search.sentence_field import SentenceField
from lineside.search.sentence_scores import ShardSentences
from lineside.search.settings import SearchSettings
from lineside.shards.reader import Shard


class ReleaseRows:
    """Immutable. Rows are numbered through all shards, which are sorted by family and id: a family is one span of rows.

    `starts`: first row of each shard, and the number of rows. `spans`: family -> [first, last) row. `hashes` (N,)
    int64: equal for equal texts. `votes_from` (N,) bool: labelled frames that tell what an image shows.
    """

    def __init__(self, shards: Sequence[Shard], release: int, settings: SearchSettings) -> None:
        """Raises ShardError where there are no shards, or shards of different encoders."""
        if not shards:
            raise ShardError(f"release {release} has no shards")
        self.number = release
        self.shards = tuple(sorted(shards, key=lambda s: (s.family, s.id)))
        self._check_spaces()
        self.starts = [0]
        for shard in self.shards:
            self.starts.append(self.starts[-1] + len(shard))
        self.spans: dict[str, tuple[int, int]] = {}
        for shard, start in zip(self.shards, self.starts, strict=False):
            first = self.spans.get(shard.family, (start, start))[0]
            self.spans[shard.family] = (first, start + len(shard))
        self.span_all = (0, self.starts[-1])

        self.lexical = LexicalIndex([s.lexical for s in self.shards], settings.lexical)
        self.text = DenseField(
            [FieldPart(s.text, np.arange(len(s), dtype=np.int32)) for s in self.shards],
            max(s.manifest.dimensions["text"] for s in self.shards),
            settings.effort,
        )
        self.joint = DenseField(
            [FieldPart(s.joint, s.joint_rows) for s in self.shards],
            max(s.manifest.dimensions["joint"] for s in self.shards),
            settings.effort,
        )
        table = pa.concat_tables([s.rows for s in self.shards])
        self.filters = FilterColumns(table)
        self.hashes = np.frombuffer(b"".join(table.column("text_hash").to_pylist()), np.int64)
        self.ids: list[str] = table.column("id").to_pylist()
        self.labels: list[str | None] = table.column("label").to_pylist()
        self.votes_from = np.array([bool(x) for x in self.labels], bool) & self.filters.is_frame & self.joint.has_vector
        self.evidence = EvidenceRows(self.shards, self.starts)
        self.known_questions = KnownQuestions(self.shards)
        self.sentence_field = SentenceField(self.shards)
        self.sentences = [ShardSentences(s, m) for s, m in zip(self.shards, self.lexical.to_release, strict=True)]

    def __len__(self) -> int:
        return self.starts[-1]

    def shard_of(self, row: int) -> int:
        """The place of the row's shard."""
        return bisect_right(self.starts, row) - 1

    def template(self, row: int) -> Evidence:
        """The row as evidence without a number or scores."""
        return self.evidence.template(row, self.shard_of(row))

    def _check_spaces(self) -> None:
        """All shards must come from the same encoders, or their vectors cannot be compared."""
        for space in ("text", "joint"):
            found = {s.manifest.dimensions[space] for s in self.shards if s.manifest.dimensions[space]}
            made_by = {s.manifest.fingerprints.get(space) for s in self.shards if s.manifest.dimensions[space]}
            if len(found) > 1 or len(made_by) > 1:
                raise ShardError(f"release {self.number}: shards have {space} vectors of different encoders")
