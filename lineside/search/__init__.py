"""Hybrid search over the shards of a release."""

from lineside.search.contract import ScoredSentence, SearchQuery, SearchResult, Signals
from lineside.search.release_index import ReleaseIndex
from lineside.search.settings import SearchSettings

__all__ = ["ReleaseIndex", "ScoredSentence", "SearchQuery", "SearchResult", "SearchSettings", "Signals"]
