"""In which words one frame label may be told."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Wording:
    """`subjects`: what stands in the picture; `states`: clauses that say how it is; `shorts`: names of the state."""

    subjects: tuple[str, ...]
    states: tuple[str, ...]
    shorts: tuple[str, ...]
