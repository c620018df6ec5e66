"""What the routes send is what is read back, however the network cuts it."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.routing.event_stream import read_events
from lineside.answering.pipeline import Event, EvidenceFound, Finished, SentenceReady
from lineside.errors import InvalidRequest, LinesideError, NotFound, Overloaded, Unavailable
from lineside.schema import Answer, AnswerSentence, Citation, Evidence, Retrieval
from webapi import sse

LINES = st.text(min_size=1, max_size=60)


@st.composite
def streams(draw: st.DrawFn) -> list[Event]:
    texts = draw(st.lists(LINES, min_size=0, max_size=4))
    evidence = tuple(
        Evidence(n=n, id=f"p{n}", kind="passage", family="pump", score=1.0, text=text)
        for n, text in enumerate(texts, 1)
    )
    sentences = [
        AnswerSentence(text=text, citations=(Citation(n=n, evidence_id=f"p{n}", quote=text, support=0.5),))
        for n, text in enumerate(texts, 1)
    ]
    retrieval = Retrieval(request_id="r", release=8, evidence=evidence, stages_ms={"search": 1.5})
    answer = Answer(
        request_id="r",
        release=8,
        mode="generated",
        status="complete",
        text=draw(st.text(max_size=60)),
        sentences=tuple(sentences),
        evidence=evidence,
        stages_ms={},
        deadline_ms=1,
        elapsed_ms=1.0,
    )
    return [EvidenceFound(retrieval), *(SentenceReady(sentence) for sentence in sentences), Finished(answer)]


async def in_chunks(data: bytes, sizes: Sequence[int]) -> AsyncGenerator[bytes]:
    place = 0
    for size in sizes:
        yield data[place : place + size]
        place += size
    yield data[place:]


async def read(data: bytes, sizes: Sequence[int] = (), limit: int = 1 << 20) -> list[Event]:
    return [event async for event in read_events(in_chunks(data, sizes), limit)]


@settings(max_examples=60, deadline=None)
@given(events=streams(), sizes=st.lists(st.integers(0, 40), max_size=30))
async def test_events_survive_any_cut(events: list[Event], sizes: list[int]) -> None:
    data = b"".join(sse.encode_event(event) for event in events)
    assert await read(data, sizes) == events
    assert await read(data.replace(b"\n", b"\r\n"), sizes) == events


@pytest.mark.parametrize(
    ("error", "raised"),
    [
        (NotFound("no family"), NotFound),
        (InvalidRequest("too long"), InvalidRequest),
        (Overloaded("full"), Unavailable),
        (LinesideError("broken"), Unavailable),
    ],
)
async def test_errors_of_the_caller_stay_so_and_others_mean_that_it_cannot_answer(
    error: LinesideError, raised: type[LinesideError]
) -> None:
    with pytest.raises(raised, match=str(error)):
        await read(sse.encode_error("r", error))


@settings(max_examples=50, deadline=None)
@given(events=streams(), cut=st.floats(0, 0.999))
async def test_a_stream_that_ends_early_never_passes_for_an_answer(events: list[Event], cut: float) -> None:
    data = b"".join(sse.encode_event(event) for event in events)
    with pytest.raises(Unavailable, match="ended before the answer"):
        await read(data[: int(cut * (len(data) - 1))])


@settings(max_examples=50, deadline=None)
@given(noise=st.binary(max_size=200))
async def test_noise_is_refused_and_breaks_nothing(noise: bytes) -> None:
    with pytest.raises(Unavailable):
        await read(b"event: answer\ndata: " + noise + b"\n\n")


async def test_more_than_the_limit_is_not_read() -> None:
    with pytest.raises(Unavailable, match="more than 1,000 bytes"):
        await read(b"x" * 5_000, sizes=[500, 500, 500], limit=1_000)


async def test_events_and_fields_of_a_newer_service_are_passed_over() -> None:
    answer = Answer(
        request_id="r",
        release=8,
        mode="evidence",
        status="complete",
        text="",
        evidence=(),
        stages_ms={},
        deadline_ms=1,
        elapsed_ms=1.0,
    )
    newer = answer.model_dump_json().replace("{", '{"invented_later": 1, ', 1)
    data = b": comment\nevent: progress\ndata: 1\n\n" + sse.encode("answer", newer)
    assert await read(data) == [Finished(answer)]
