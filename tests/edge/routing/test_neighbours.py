"""Whom a gateway takes for the holders of a family: the fleet's signed routing table, without itself."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from edge.gateway.following import Following
from edge.trust.staging import RoutingRecord
from lineside.errors import IntegrityError


class Synchroniser:
    """Has a routing table, or none, or a damaged one; does nothing else."""

    settings = SimpleNamespace(gateway="cell-1")

    def __init__(self, table: RoutingRecord | IntegrityError | None) -> None:
        self._table = table

    def routing(self) -> RoutingRecord | None:
        if isinstance(self._table, IntegrityError):
            raise self._table
        return self._table


def following(table: RoutingRecord | IntegrityError | None) -> Following:
    synchroniser: Any = Synchroniser(table)
    knowledge: Any = None
    return Following(knowledge, synchroniser)


def test_neighbours_come_in_the_order_of_the_table_without_this_gateway() -> None:
    urls = {name: f"https://{name}.plant" for name in ("cell-1", "cell-2", "cell-3")}
    table = RoutingRecord(epoch=1, urls=urls, families={"pump": ("cell-3", "cell-1", "cell-2")})
    assert following(table).neighbours("pump") == ("https://cell-3.plant", "https://cell-2.plant")
    assert following(table).neighbours("furnace") == ()


def test_without_a_table_or_with_a_damaged_one_there_are_no_neighbours() -> None:
    assert following(None).neighbours("pump") == ()
    assert following(IntegrityError("bit flip")).neighbours("pump") == ()
