"""Releases: what is served, what was served before, and which one is current."""

from lineside.releases.catalogue import Catalogue, Release, ShardEntry

__all__ = ["Catalogue", "Release", "ShardEntry"]
