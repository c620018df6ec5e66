"""The search stage with the window beside it: when its frames join a result, and what they never do."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from edge.window import FrameIn, RollingWindow, WindowedSearch, WindowSettings
from lineside.answering.stages import Search
from lineside.errors import NotFound
from lineside.schema import Evidence, Filters, LabelVote
from lineside.search.contract import SearchQuery, SearchResult, Signals
from tests.edge.window.conftest import Bench, vector

Frame = Callable[..., FrameIn]

RELEASE = SearchResult(
    release=3,
    evidence=(
        Evidence(n=1, id="p-1", kind="passage", family="pump", score=0.9, text="Stop the pump."),
        Evidence(n=2, id="f-1", kind="frame", family="pump", score=0.8, text="A leaking seal.", label="seal-leak"),
    ),
    sentences=(),
    labels=(LabelVote(label="seal-leak", caption="A leaking seal.", share=1.0, similarity=0.9),),
    signals=Signals(dense=0.5, coverage=0.5, unknown_terms=(), missing_identifiers=(), answerability=0.7),
    stages_ms={"dense": 1.0},
)


async def release_search(query: SearchQuery) -> SearchResult:
    if query.family == "nowhere":
        raise NotFound("no family 'nowhere'")
    return RELEASE


@pytest.fixture
def window(bench: Bench, frame: Frame) -> RollingWindow:
    """Two cameras, four scenes, one a minute."""
    opened = bench.open()
    for scene in range(4):
        opened.add(frame(f"CAM-{scene % 2}", scene, labels=("seal-leak",) if scene == 3 else ()))
        bench.clock.advance(60)
    return opened


def searched(window: RollingWindow, **changes: object) -> Search:
    values = {"families": {"CAM-0": "pump", "CAM-1": "stand"}, **changes}
    return WindowedSearch(release_search, window, WindowSettings.model_validate(values))


async def live(search: Search, query: SearchQuery) -> list[Evidence]:
    result = await search(query)
    assert result.evidence[: len(RELEASE.evidence)] == RELEASE.evidence
    return list(result.evidence[len(RELEASE.evidence) :])


async def test_a_frame_like_the_one_asked_about_follows_the_release_s_evidence(window: RollingWindow) -> None:
    (found,) = await live(searched(window), SearchQuery("what is this?", image_vector=vector(3)))
    assert (found.n, found.kind, found.camera_id, found.label) == (3, "frame", "CAM-1", "seal-leak")
    assert found.family == "stand"
    assert found.title.startswith("CAM-1, 2025-10-09 ")
    assert found.text.endswith("UTC: seal-leak.")
    assert found.score == pytest.approx(1, abs=0.01)


async def test_its_thumbnail_is_found_by_the_id_in_its_url(window: RollingWindow) -> None:
    (found,) = await live(searched(window), SearchQuery("?", image_vector=vector(3)))
    assert found.image_url == "/v1/images/" + found.id.replace(":", "%3A")
    assert RollingWindow.is_frame_id(found.id)
    assert window.image(found.id).media_type == "image/webp"


async def test_a_time_range_alone_shows_what_the_cameras_showed_then(bench: Bench, window: RollingWindow) -> None:
    filters = Filters(time_from=bench.clock.now - timedelta(minutes=3), time_to=bench.clock.now - timedelta(minutes=2))
    by_time = await live(searched(window), SearchQuery("what was to be seen?", filters=filters))
    assert [e.camera_id for e in by_time] == ["CAM-1"]
    by_text = SearchQuery("what was to be seen?", filters=filters, joint_text_vector=vector(99))
    assert [e.id for e in await live(searched(window), by_text)] == [e.id for e in by_time]


async def test_a_question_without_frame_and_time_leaves_the_window_alone(window: RollingWindow) -> None:
    assert await searched(window)(SearchQuery("how?", joint_text_vector=vector(3))) is RELEASE


async def test_frames_unlike_the_one_asked_about_are_no_evidence(window: RollingWindow) -> None:
    assert await live(searched(window), SearchQuery("?", image_vector=vector(77))) == []


async def test_live_frames_have_their_own_quota_and_take_no_place_of_others(window: RollingWindow) -> None:
    everything = searched(window, similarity_floor=-1, evidence_frames=3)
    assert len(await live(everything, SearchQuery("?", image_vector=vector(1)))) == 3
    assert len(await live(everything, SearchQuery("?", image_vector=vector(1), k_images=2))) == 2
    assert await live(everything, SearchQuery("?", image_vector=vector(1), k_images=0)) == []


async def test_live_frames_change_no_vote_sentence_or_signal(window: RollingWindow) -> None:
    result = await searched(window)(SearchQuery("?", image_vector=vector(3)))
    assert (result.labels, result.sentences, result.signals) == (RELEASE.labels, RELEASE.sentences, RELEASE.signals)
    assert set(result.stages_ms) == {"dense", "window"}


@pytest.mark.parametrize(
    ("filters", "access", "count"),
    [
        (Filters(kinds=("passage",)), None, 0),
        (Filters(kinds=("frame",)), None, 1),
        (Filters(document_kinds=("manual",)), None, 0),
        (Filters(document_ids=("d-1",)), None, 0),
        (Filters(languages=("de",)), None, 1),
        (Filters(access=("shift-lead",)), None, 0),
        (Filters(access=("shift-lead",)), "operator", 0),
        (Filters(access=("operator", "shift-lead")), "operator", 1),
    ],
)
async def test_filters_hold_for_live_frames(
    window: RollingWindow, filters: Filters, access: str | None, count: int
) -> None:
    found = await live(searched(window, access=access), SearchQuery("?", image_vector=vector(3), filters=filters))
    assert len(found) == count


async def test_a_question_to_a_family_sees_only_its_cameras(window: RollingWindow) -> None:
    anything = searched(window, similarity_floor=-1, evidence_frames=10)
    found = await live(anything, SearchQuery("?", image_vector=vector(3), family="pump", k_images=10))
    assert {e.camera_id for e in found} == {"CAM-0"}


async def test_what_the_release_s_search_raises_is_raised(window: RollingWindow) -> None:
    with pytest.raises(NotFound, match="nowhere"):
        await searched(window)(SearchQuery("?", image_vector=vector(3), family="nowhere"))
