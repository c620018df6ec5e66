from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lineside.schema import Evidence, Filters
from lineside.search import ReleaseIndex, SearchQuery
from tests.shards.knowledge import START, drive, embed, pump

DOCUMENTS = ["drive-motor-manual", "pump-pump-maintenance", "pump-incidents", "nowhere"]
TIMES = st.integers(-2, 100).map(lambda hours: START + timedelta(hours=hours))


@st.composite
def filters(draw: st.DrawFn) -> Filters:
    early, late = sorted(draw(st.tuples(TIMES, TIMES).filter(lambda t: t[0] != t[1])))
    return Filters(
        document_ids=tuple(draw(st.lists(st.sampled_from(DOCUMENTS), max_size=2))),
        document_kinds=tuple(draw(st.lists(st.sampled_from(["manual", "sop", "incident"]), max_size=2))),
        kinds=tuple(draw(st.lists(st.sampled_from(["passage", "figure", "frame"]), max_size=2))),
        languages=tuple(draw(st.lists(st.sampled_from(["en", "sv"]), max_size=1))),
        access=tuple(draw(st.lists(st.sampled_from(["public", "internal"]), max_size=1))),
        time_from=draw(st.sampled_from([None, early])),
        time_to=draw(st.sampled_from([None, late])),
    )


def matches(e: Evidence, f: Filters) -> bool:
    access = "internal" if e.document_id == "pump-incidents" else "public"
    timeless = e.kind != "frame" and e.document_kind != "incident"
    return (
        (not f.document_ids or e.document_id in f.document_ids)
        and (not f.document_kinds or e.document_kind in f.document_kinds)
        and (not f.kinds or e.kind in f.kinds)
        and (not f.languages or e.kind == "frame" or "en" in f.languages)
        and (not f.access or access in f.access)
        and (timeless or f.time_from is None or (e.time is not None and e.time >= f.time_from))
        and (timeless or f.time_to is None or (e.time is not None and e.time < f.time_to))
    )


@given(filters(), st.sampled_from([None, "drive", "pump"]))
def test_nothing_that_was_filtered_out_is_returned(index: ReleaseIndex, wanted: Filters, family: str | None) -> None:
    found = index.search(query(family=family, filters=wanted))
    for evidence in found.evidence:
        assert matches(evidence, wanted)
        assert family in (None, evidence.family)


@given(filters())
def test_no_passage_that_matches_is_lost(index: ReleaseIndex, wanted: Filters) -> None:
    def returned(result_filters: Filters) -> set[str]:
        found = index.search(query(filters=result_filters)).evidence
        return {i for e in found if e.kind == "passage" for i in (e.id, *e.duplicates)}

    everything = index.search(query()).evidence
    matching = {e.id for e in everything if e.kind == "passage" and matches(e, wanted)}
    assert matching <= returned(wanted)


def test_a_family_that_is_not_there_gives_an_empty_result(index: ReleaseIndex) -> None:
    found = index.search(query(family="submarine"))
    assert found.evidence == ()
    assert found.signals.answerability == 0


def test_a_filter_without_matches_gives_an_empty_result(index: ReleaseIndex) -> None:
    assert index.search(query(filters=Filters(document_ids=("nowhere",)))).evidence == ()


@pytest.mark.parametrize("aware", [True, False])
def test_times_without_zone_are_utc(index: ReleaseIndex, aware: bool) -> None:
    start = datetime.fromisoformat("2025-03-01T05:00:00" + ("+00:00" if aware else ""))
    found = index.search(query(family="drive", filters=Filters(kinds=("frame",), time_from=start)))
    assert {e.time for e in found.evidence} == {START + timedelta(hours=5)}


def query(**fields: object) -> SearchQuery:
    words = "hot bearing temperature seal kit pump winding grease cavitation"
    vector = embed("Thermal view: a hot bearing")
    count = len(drive().passages) + len(pump().passages)
    return SearchQuery(
        words, embed(words), joint_text_vector=embed(words), image_vector=vector, k=count, k_images=20, **fields
    )
