"""Releases: what is served, what was served before, and which one is current."""

from lineside.releases.catalogue import Base, Catalogue
from lineside.releases.pruning import PrunePlan, plan_prune, prune
from lineside.releases.rebase import rebase
from lineside.releases.records import Activation, Pointer, Release, ShardEntry

__all__ = [
    "Activation",
    "Base",
    "Catalogue",
    "Pointer",
    "PrunePlan",
    "Release",
    "ShardEntry",
    "plan_prune",
    "prune",
    "rebase",
]
