"""Metadata filters as row sets, computed before ranking, so that a filtered search loses nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from lineside.schema import Filters

Rows = NDArray[np.int64]
Mask = NDArray[np.bool_]

_NEVER = np.iinfo(np.int64).min


@dataclass(frozen=True, slots=True)
class Scope:
    """The rows a question may be answered from: `[span)`, and within it the allowed passages and images."""

    span: tuple[int, int]
    passages: Rows
    images: Rows


class _Codes:
    """A text column as small integers; -1 for null."""

    def __init__(self, column: pa.ChunkedArray) -> None:
        encoded = column.combine_chunks().dictionary_encode()
        if isinstance(encoded, pa.ChunkedArray):
            encoded = encoded.unify_dictionaries().combine_chunks()
        self._code_of = {value: i for i, value in enumerate(encoded.dictionary.to_pylist())}
        self._codes: NDArray[np.int64] = encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False)

    def any_of(self, values: Sequence[str]) -> Mask:
        wanted = [self._code_of[v] for v in values if v in self._code_of]
        return np.isin(self._codes, wanted)

    def missing(self) -> Mask:
        return self._codes < 0


class FilterColumns:
    """The filterable columns of a release.

    Frames have no language and pass every language filter. A time range holds for frames and incident reports, of
    which those without a time are left out; manuals and procedures are timeless and pass.
    """

    def __init__(self, rows: pa.Table) -> None:
        self._kind = _Codes(rows.column("kind"))
        self._document = _Codes(rows.column("document_id"))
        self._document_kind = _Codes(rows.column("document_kind"))
        self._language = _Codes(rows.column("language"))
        self._access = _Codes(rows.column("access"))
        time = rows.column("time").combine_chunks().cast(pa.int64()).fill_null(_NEVER)
        self._time: NDArray[np.int64] = time.to_numpy(zero_copy_only=False)
        self.is_passage = self._kind.any_of(("passage",))
        self.is_frame = self._kind.any_of(("frame",))
        self.is_incident = self._document_kind.any_of(("incident",))
        self._timeless = ~(self.is_frame | self.is_incident)

    def scope(self, span: tuple[int, int], filters: Filters) -> Scope:
        """Allowed passages and images, ascending."""
        allowed = self.allowed(filters)[span[0] : span[1]]
        is_passage = self.is_passage[span[0] : span[1]]
        return Scope(
            span=span,
            passages=np.flatnonzero(allowed & is_passage) + span[0],
            images=np.flatnonzero(allowed & ~is_passage) + span[0],
        )

    def allowed(self, filters: Filters) -> Mask:
        """(n,) rows that match every given field."""
        allowed = np.ones(len(self._time), bool)
        if filters.document_ids:
            allowed &= self._document.any_of(filters.document_ids)
        if filters.document_kinds:
            allowed &= self._document_kind.any_of(filters.document_kinds)
        if filters.kinds:
            allowed &= self._kind.any_of(filters.kinds)
        if filters.languages:
            allowed &= self._language.any_of(filters.languages) | self.is_frame
        if filters.access:
            allowed &= self._access.any_of(filters.access)
        if filters.time_from or filters.time_to:
            inside = self._time != _NEVER
            if filters.time_from:
                inside &= self._time >= _microseconds(filters.time_from)
            if filters.time_to:
                inside &= self._time < _microseconds(filters.time_to)
            allowed &= inside | self._timeless
        return allowed


def _microseconds(time: datetime) -> int:
    aware = time if time.tzinfo else time.replace(tzinfo=UTC)
    since_epoch = aware - datetime(1970, 1, 1, tzinfo=UTC)
    return (since_epoch.days * 86_400 + since_epoch.seconds) * 1_000_000 + since_epoch.microseconds
