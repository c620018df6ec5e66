"""Hybrid search over the shards of a release.

The index itself is imported when it is first asked for: the ingress needs the contract and the settings alone.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from lineside.search.contract import ScoredSentence, SearchQuery, SearchResult, Signals
from lineside.search.settings import SearchSettings

if TYPE_CHECKING:
    from lineside.search.release_index import ReleaseIndex

__all__ = ["ReleaseIndex", "ScoredSentence", "SearchQuery", "SearchResult", "SearchSettings", "Signals"]


def __getattr__(name: str) -> Any:
    if name == "ReleaseIndex":
        return import_module("lineside.search.release_index").ReleaseIndex
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
