"""A gateway's copy of the plant's knowledge: verified, sealed on disk, opened in memory, with a way back."""

from edge.sync.http import HttpSource
from edge.sync.loop import SyncLoop
from edge.sync.releases import OpenRelease
from edge.sync.settings import SyncSettings
from edge.sync.source import Source
from edge.sync.synchroniser import Health, Outcome, Synchroniser

__all__ = [
    "Health",
    "HttpSource",
    "OpenRelease",
    "Outcome",
    "Source",
    "SyncLoop",
    "SyncSettings",
    "Synchroniser",
]
