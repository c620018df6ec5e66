"""The contract refuses what cannot be served, with a message, and takes what can."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from lineside.schema import (
    MAX_CONTEXT_CHARS,
    MAX_K,
    MAX_QUESTION_CHARS,
    Answer,
    AnswerRequest,
    AnswerSentence,
    Citation,
    Evidence,
    Filters,
    RetrieveRequest,
    TelemetrySeries,
)

START = datetime(2000, 1, 1)


@pytest.mark.parametrize("question", ["", " ", "\n\t ", "\u2003"])
def test_a_blank_question_is_refused_and_the_message_says_what_to_do(question: str) -> None:
    with pytest.raises(ValidationError, match="write what you want to know"):
        AnswerRequest(question=question)


def test_a_question_is_taken_without_the_space_around_it() -> None:
    assert AnswerRequest(question="  why? \n").question == "why?"


@pytest.mark.parametrize(
    "fields",
    [
        {"question": "q" * (MAX_QUESTION_CHARS + 1)},
        {"context": "c" * (MAX_CONTEXT_CHARS + 1)},
        {"k": 0},
        {"k": MAX_K + 1},
        {"deadline_ms": 0},
        {"deadline_ms": -5},
        {"deadline_ms": 1.5},
        {"priority": "urgent"},
        {"mode": "guess"},
        {"family": " "},
        {"famly": "pump"},
        {"question": None},
        {"filters": {"documents": ["a"]}},
        {"filters": {"kinds": ["video"]}},
        {"question": "a\ud800"},
        {"telemetry": [{"name": "T", "values": []}]},
    ],
    ids=lambda fields: "-".join(fields),
)
def test_what_is_out_of_bounds_or_unknown_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        AnswerRequest.model_validate({"question": "why?"} | fields)


def test_retrieval_knows_no_mode() -> None:
    with pytest.raises(ValidationError):
        RetrieveRequest.model_validate({"question": "why?", "mode": "extract"})


def test_a_request_cannot_be_changed() -> None:
    request = AnswerRequest(question="why?")
    with pytest.raises(ValidationError):
        request.question = "how?"  # type: ignore[misc]


@pytest.mark.parametrize("zones", [("", ""), ("Z", "Z"), ("", "Z"), ("Z", ""), ("+02:00", "")])
def test_a_time_range_is_checked_with_and_without_zones(zones: tuple[str, str]) -> None:
    early, late = f"2025-03-01T00:00:00{zones[0]}", f"2025-03-02T00:00:00{zones[1]}"
    Filters.model_validate({"time_from": early, "time_to": late})
    for start, end in ((late, early), (early, early)):
        with pytest.raises(ValidationError, match="time_from must be before time_to"):
            Filters.model_validate({"time_from": start, "time_to": end})


def test_times_of_a_series_are_none_or_one_for_each_value() -> None:
    assert TelemetrySeries(name="T", values=(1.0, 2.0)).times == ()
    with pytest.raises(ValidationError, match="as many as values"):
        TelemetrySeries.model_validate({"name": "T", "values": [1, 2], "times": ["2025-03-01T00:00:00Z"]})


def test_a_sentence_without_a_citation_is_no_sentence_of_an_answer() -> None:
    with pytest.raises(ValidationError):
        AnswerSentence(text="Close V1.", citations=())


@pytest.mark.parametrize("fields", [{"n": 0}, {"support": 1.5}, {"support": -0.1}])
def test_a_citation_names_evidence_from_one_on_and_its_support_is_a_share(fields: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Citation.model_validate({"n": 1, "evidence_id": "p1", "quote": "x", "support": 1.0} | fields)


@given(
    st.builds(
        AnswerRequest,
        question=st.text(st.characters(exclude_categories=["Cs"]), max_size=40).filter(str.strip),
        context=st.text(st.characters(exclude_categories=["Cs"]), max_size=40),
        filters=st.builds(
            Filters,
            time_from=st.none() | st.datetimes(min_value=START, timezones=st.sampled_from([None, UTC])),
            kinds=st.lists(st.sampled_from(["passage", "figure", "frame"]), max_size=3).map(tuple),
        ),
        telemetry=st.lists(
            st.builds(
                TelemetrySeries,
                name=st.just("T"),
                values=st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=3).map(tuple),
                low=st.none(),
                high=st.none(),
                unit=st.just("°C"),
                times=st.just(()),
            ),
            max_size=2,
        ).map(tuple),
        family=st.none() | st.just("pump"),
        image=st.none(),
        deadline_ms=st.none() | st.integers(1, 100_000),
        k=st.integers(1, MAX_K),
    )
)
def test_a_request_survives_json(request: AnswerRequest) -> None:
    assert AnswerRequest.model_validate_json(request.model_dump_json()) == request


def test_an_answer_survives_json() -> None:
    citation = Citation(n=1, evidence_id="p1", quote="Close V1.", support=1.0)
    answer = Answer(
        request_id="r",
        release=3,
        mode="extractive",
        status="complete",
        text="Close V1. [1]",
        sentences=(AnswerSentence(text="Close V1.", citations=(citation,)),),
        evidence=(Evidence(n=1, id="p1", kind="passage", family="pump", score=0.5, text="Close V1."),),
        stages_ms={"search": 1.5},
        deadline_ms=100,
        elapsed_ms=2.5,
    )
    assert Answer.model_validate_json(answer.model_dump_json()) == answer
