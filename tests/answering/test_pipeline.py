"""The pipeline over stages of a few lines: in parallel, in time, and never an unsupported sentence."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lineside.answering.pipeline import Answerer, Event, EvidenceFound, Finished, SentenceReady
from lineside.answering.settings import AnsweringSettings, Pace
from lineside.answering.stages import QuestionVectors, Stages
from lineside.answering.support import SupportIndex
from lineside.errors import (
    DeadlineExceeded,
    GenerationError,
    NotFound,
    NotReady,
    Overloaded,
    Unavailable,
    UnsupportedImage,
)
from lineside.generation import Message, Sampling
from lineside.schema import Answer, AnswerRequest
from lineside.search.contract import SearchQuery, SearchResult, Vector
from lineside.search.effort import EffortUsed
from tests.answering.results import search_result

QUESTION = "What is the torque of the flange bolts of the pump?"
TEXTS = (
    "Tighten the flange bolts of the pump to 45 Nm. Check the gasket first.",
    "The pump is stopped at a bearing temperature of 95 °C. Grease the bearing every 2000 h.",
)
TRUE = "Tighten the flange bolts of the pump to 45 Nm."
FALSE = "Tighten the flange bolts of the pump to 60 Nm."
OTHER_TRUE = "Grease the bearing every 2000 h."
RESULT = search_result(QUESTION, *TEXTS)
TEXT_VECTOR, JOINT_VECTOR, IMAGE_VECTOR = (np.eye(3, dtype=np.float32)[i] for i in range(3))


@dataclass
class Plant:
    """Stages that remember what they were asked. A stage in `hangs` never answers; one in `fails` raises."""

    hangs: Sequence[str] = ()
    fails: dict[str, Exception] = field(default_factory=dict)
    takes_s: float = 0.0
    result: SearchResult = RESULT
    pieces: Sequence[str] = (TRUE, " [1]")
    piece_takes_s: float = 0.0
    generates: bool = True
    search_encodes_text: bool = False
    queries: list[SearchQuery] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    prompts: list[tuple[Message, ...]] = field(default_factory=list)
    given: int = 0
    generation_ended: bool = False

    async def _pass(self, stage: str) -> None:
        self.asked.append(stage)
        if stage in self.fails:
            raise self.fails[stage]
        if stage in self.hangs:
            await asyncio.Event().wait()
        await asyncio.sleep(self.takes_s)

    async def encode_text(self, text: str) -> QuestionVectors:
        await self._pass("encode_text")
        return QuestionVectors(TEXT_VECTOR, JOINT_VECTOR)

    async def encode_image(self, image: bytes) -> Vector:
        await self._pass("encode_image")
        return IMAGE_VECTOR

    async def search(self, query: SearchQuery) -> SearchResult:
        self.queries.append(query)
        await self._pass("search")
        return self.result

    async def generate(
        self, messages: tuple[Message, ...], sampling: Sampling, request_id: str, deadline_ms: float
    ) -> AsyncIterator[str]:
        self.prompts.append(messages)
        try:
            for piece in self.pieces:
                await asyncio.sleep(self.piece_takes_s)
                self.given += 1
                yield piece
            await self._pass("generate")
        finally:
            self.generation_ended = True

    def answerer(self, **settings: Any) -> Answerer:
        stages = Stages(
            encode_text=self.encode_text,
            encode_image=self.encode_image,
            search=self.search,
            generate=self.generate if self.generates else None,
            search_encodes_text=self.search_encodes_text,
        )
        return Answerer(stages, AnsweringSettings(**({"first_sentence_ms": 20.0, "reserve_ms": 20.0} | settings)))


async def ask(plant: Plant, *, image: bytes | None = None, answerer: Answerer | None = None, **fields: Any) -> Answer:
    answerer = answerer or plant.answerer()
    request = AnswerRequest.model_validate({"question": QUESTION, "deadline_ms": 5_000} | fields)
    return await answerer.answer(request, image, request_id="r1", deadline=answerer.deadline(request))


def degraded(answer: Answer) -> dict[str, str]:
    return {d.stage: d.reason for d in answer.degraded}


def assert_honest(answer: Answer) -> None:
    """Every sentence is supported by what it cites, and cites what is there, verbatim."""
    index = SupportIndex(answer.evidence)
    sources = {e.n: e for e in answer.evidence}
    for sentence in answer.sentences:
        numbers = [c.n for c in sentence.citations]
        assert index.support(sentence.text, numbers).supported, sentence.text
        for citation in sentence.citations:
            assert citation.quote in sources[citation.n].text
            assert citation.evidence_id == sources[citation.n].id


# ---- What reaches the stages --------------------------------------------------------------------------------------


async def test_a_supported_answer_is_generated_and_cited() -> None:
    plant = Plant()
    answer = await ask(plant)
    assert (answer.mode, answer.status, answer.text) == ("generated", "complete", f"{TRUE} [1]")
    assert (answer.request_id, answer.release, answer.degraded) == ("r1", 7, ())
    assert answer.stages_ms.keys() == {"encode_text", "search", "first_token", "generate"}
    assert answer.elapsed_ms < answer.deadline_ms
    assert plant.generation_ended
    assert_honest(answer)


async def test_image_and_text_are_encoded_at_the_same_time() -> None:
    plant = Plant(takes_s=0.4)
    answer = await ask(plant, image=b"frame", mode="extract")
    assert set(plant.asked[:2]) == {"encode_text", "encode_image"}
    assert answer.elapsed_ms < 1_190  # one after the other: 1 200
    assert answer.stages_ms["encode_text"] + answer.stages_ms["encode_image"] > 790


async def test_search_gets_the_vectors_and_everything_that_was_asked() -> None:
    plant = Plant()
    await ask(
        plant,
        image=b"frame",
        context="alarm at 10:42",
        family="pump",
        k=3,
        filters={"languages": ["en"]},
        telemetry=[{"name": "bearing_temperature", "values": [60, 61, 99], "high": 90}],
    )
    (query,) = plant.queries
    assert query.text == QUESTION
    assert query.text_vector is TEXT_VECTOR
    assert query.joint_text_vector is JOINT_VECTOR
    assert query.image_vector is IMAGE_VECTOR
    assert (query.family, query.k, query.filters.languages) == ("pump", 3, ("en",))
    assert query.context.startswith("alarm at 10:42 bearing temperature")
    assert "99" in plant.prompts[0][-1].content


async def test_a_search_gets_a_share_of_the_time_left_and_no_more_than_is_worth_it() -> None:
    hurried, patient = Plant(), Plant()
    await ask(hurried, deadline_ms=40)
    await ask(patient, deadline_ms=20_000)
    settings = AnsweringSettings()
    assert 0 < (hurried.queries[0].budget_ms or 0) <= 40 * settings.search_share
    assert patient.queries[0].budget_ms == settings.search_max_ms


async def test_a_search_that_had_to_hurry_says_what_it_may_have_missed() -> None:
    result = replace(RESULT, efforts=(EffortUsed(1, 8, 0.81, 0.2), EffortUsed(4, 16, 0.99, 0.4)))
    assert "81%" in degraded(await ask(Plant(result=result), mode="extract"))["search"]


@pytest.mark.parametrize(
    ("image", "stages"), [(None, ["search"]), (b"frame", ["encode_image", "encode_text", "search"])]
)
async def test_a_search_stage_that_encodes_saves_the_hop_where_no_image_is_encoded_meanwhile(
    image: bytes | None, stages: list[str]
) -> None:
    plant = Plant(search_encodes_text=True, generates=False)
    await ask(plant, image=image)
    assert sorted(plant.asked) == stages
    assert (plant.queries[0].text_vector is None) == (image is None)


async def test_retrieval_gives_the_evidence_alone() -> None:
    plant = Plant()
    answerer = plant.answerer()
    request = AnswerRequest(question=QUESTION)
    found = await answerer.retrieve(request, None, request_id="r1", deadline=answerer.deadline(request))
    assert (found.mode, found.evidence, plant.prompts) == ("evidence", RESULT.evidence, [])


def test_a_deadline_is_the_callers_within_the_maximum() -> None:
    answerer = Plant().answerer(default_deadline_ms=2_000, max_deadline_ms=9_000)
    budgets = [answerer.deadline(AnswerRequest(question="q", deadline_ms=ms)).budget_ms for ms in (None, 5, 60_000)]
    assert budgets == [2_000, 5, 9_000]


# ---- What is late or gone -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("stage", ["encode_image", "encode_text", "search", "generate"])
async def test_the_deadline_is_met_when_a_stage_hangs(stage: str) -> None:
    plant = Plant(hangs=[stage], pieces=() if stage == "generate" else (TRUE,))
    started = time.monotonic()
    answer = await ask(plant, image=b"frame", deadline_ms=200)
    took_ms = (time.monotonic() - started) * 1000
    assert took_ms < 2_000  # a stage that hangs hangs for ever; a machine may stall
    assert stage in degraded(answer) or degraded(answer)["search"].startswith(stage)
    expected = {"encode_image": ("generated", "complete"), "generate": ("extractive", "complete")}
    assert (answer.mode, answer.status) == expected.get(stage, ("evidence", "partial"))
    assert_honest(answer)


async def test_an_image_that_is_late_is_left_out_while_there_is_time_for_the_rest() -> None:
    plant = Plant(hangs=["encode_image"])
    answer = await ask(plant, image=b"frame", deadline_ms=300)
    assert (answer.mode, answer.status) == ("generated", "complete")
    assert degraded(answer)["encode_image"].startswith("answered without the image: encode_image was not done")
    assert plant.queries[0].image_vector is None


@pytest.mark.parametrize("error", [Unavailable("vision encoder is gone"), Overloaded("queue full"), NotReady("soon")])
async def test_a_vision_encoder_that_is_gone_costs_the_image_alone(error: Unavailable) -> None:
    answer = await ask(Plant(fails={"encode_image": error}), image=b"frame")
    assert answer.status == "complete"
    assert degraded(answer) == {"encode_image": f"answered without the image: {error}"}


@pytest.mark.parametrize(
    ("stage", "error"),
    [
        ("encode_image", UnsupportedImage("image: damaged")),
        ("search", NotFound("no family 'pumps'")),
        ("search", Overloaded("queue full")),
        ("encode_text", NotReady("loading")),
    ],
)
async def test_what_the_caller_can_mend_or_must_retry_is_raised(stage: str, error: Exception) -> None:
    with pytest.raises(type(error), match=str(error)):
        await ask(Plant(fails={stage: error}), image=b"frame")


async def test_retrieval_that_is_late_raises() -> None:
    answerer = Plant(hangs=["search"]).answerer()
    request = AnswerRequest(question=QUESTION, deadline_ms=50)
    with pytest.raises(DeadlineExceeded):
        await answerer.retrieve(request, None, request_id="r1", deadline=answerer.deadline(request))


async def test_a_search_that_is_late_gives_an_answer_that_says_so() -> None:
    answer = await ask(Plant(hangs=["search"]), deadline_ms=60)
    assert (answer.mode, answer.status, answer.text, answer.evidence) == ("evidence", "partial", "", ())
    assert "60 ms" in degraded(answer)["search"]


async def test_generation_that_hangs_after_a_sentence_keeps_the_sentence_and_says_it_is_partial() -> None:
    plant = Plant(hangs=["generate"], pieces=(TRUE, " [1] ", "And then"))
    answer = await ask(plant, deadline_ms=200)
    assert (answer.mode, answer.status, answer.text) == ("generated", "partial", f"{TRUE} [1]")
    assert degraded(answer)["generate"] == "stopped by the deadline of 200 ms"
    assert answer.elapsed_ms < 2_000
    assert plant.generation_ended


@pytest.mark.parametrize("error", [GenerationError("engine died"), Unavailable("generator is gone")])
async def test_a_generator_that_fails_is_replaced_by_quotations(error: Exception) -> None:
    answer = await ask(Plant(fails={"generate": error}, pieces=()))
    assert (answer.mode, answer.status) == ("extractive", "complete")
    assert degraded(answer)["generate"] == f"stopped: {error}"
    assert "45 Nm" in answer.text
    assert_honest(answer)


# ---- What is said -------------------------------------------------------------------------------------------------


async def test_an_unsupported_sentence_is_dropped_and_the_quotation_takes_its_place() -> None:
    answer = await ask(Plant(pieces=(f"{FALSE} [1]",)))
    assert answer.mode == "extractive"
    assert "60 Nm" not in answer.text
    assert "45 Nm" in answer.text
    assert degraded(answer)["generate"].startswith("1 generated sentence(s) dropped")
    assert_honest(answer)


async def test_supported_sentences_stay_where_others_are_dropped() -> None:
    answer = await ask(Plant(pieces=(f"{FALSE} [1] ", f"{TRUE} [9] ", f"{OTHER_TRUE} [1]")))
    assert answer.text == f"{TRUE} [1] {OTHER_TRUE} [2]"  # the citations that were wrong are put right
    assert (answer.mode, answer.status) == ("generated", "complete")


async def test_supported_sentences_are_found_behind_dropped_ones_of_the_same_piece() -> None:
    plant = Plant(pieces=(f"{FALSE} {FALSE} {TRUE} {OTHER_TRUE} Done.",))
    answer = await ask(plant, answerer=plant.answerer(max_sentences=2))
    assert [sentence.text for sentence in answer.sentences] == [TRUE, OTHER_TRUE]


async def test_generation_ends_after_the_most_sentences() -> None:
    plant = Plant(pieces=[f"{TRUE} [1] ", f"{OTHER_TRUE} [2] ", "Check the gasket first. [1] ", *["More. "] * 100])
    answer = await ask(plant, answerer=plant.answerer(max_sentences=2))
    assert len(answer.sentences) == 2
    assert plant.given < 10
    assert plant.generation_ended


async def test_generation_ends_when_nothing_is_supported() -> None:
    plant = Plant(pieces=[f"{FALSE} "] * 100)
    answer = await ask(plant, answerer=plant.answerer(max_unsupported=3))
    assert answer.mode == "extractive"
    assert plant.given < 10


async def test_a_model_that_repeats_itself_is_heard_once() -> None:
    answer = await ask(Plant(pieces=[f"{TRUE} [1] "] * 10))
    assert answer.text == f"{TRUE} [1]"


async def test_nothing_relevant_abstains_without_generating() -> None:
    plant = Plant(result=search_result(QUESTION, *TEXTS, answerability=0.05))
    answer = await ask(plant)
    assert (answer.status, answer.sentences, plant.prompts) == ("abstained", (), [])
    assert "do not answer" in answer.text
    assert answer.degraded


async def test_no_evidence_at_all_abstains() -> None:
    answer = await ask(Plant(result=search_result(QUESTION)))
    assert (answer.status, answer.evidence) == ("abstained", ())


async def test_extraction_asks_no_generator() -> None:
    plant = Plant()
    answer = await ask(plant, mode="extract")
    assert (answer.mode, answer.status, plant.prompts, answer.degraded) == ("extractive", "complete", [], ())
    assert_honest(answer)


@pytest.mark.parametrize(("mode", "says"), [("auto", {}), ("generate", {"generate": "no generator is configured"})])
async def test_without_a_generator_quotations_are_given(mode: str, says: dict[str, str]) -> None:
    answer = await ask(Plant(generates=False), mode=mode)
    assert (answer.mode, degraded(answer)) == ("extractive", says)


@given(
    sentences=st.lists(
        st.sampled_from(
            [TRUE, FALSE, OTHER_TRUE, "The pump is not stopped at 95 °C.", "See [3].", "95 °C", "I think so!"]
        )
        | st.text(st.characters(exclude_categories=["Cs"]), max_size=30),
        max_size=8,
    ),
    markers=st.lists(
        st.sampled_from(["", " [1]", " [2]", " [99]", "[0]", " [1-3]", "[[1]]", " [1", "\n", " "]), max_size=8
    ),
    cuts=st.lists(st.integers(0, 400), max_size=12),
)
def test_whatever_a_model_says_only_what_the_evidence_supports_leaves(
    sentences: list[str], markers: list[str], cuts: list[int]
) -> None:
    said = " ".join(a + b for a, b in itertools.zip_longest(sentences, markers, fillvalue=""))
    places = sorted({0, len(said), *(cut for cut in cuts if cut < len(said))})
    answer = asyncio.run(ask(Plant(pieces=[said[a:b] for a, b in itertools.pairwise(places)])))
    assert answer.status in ("complete", "partial")
    assert answer.sentences
    assert_honest(answer)
    assert Answer.model_validate(answer.model_dump()) == answer  # what is composed unchecked is valid


# ---- The stream ---------------------------------------------------------------------------------------------------


async def _events(plant: Plant, **fields: Any) -> list[Event]:
    answerer = plant.answerer()
    request = AnswerRequest.model_validate({"question": QUESTION, "deadline_ms": 5_000} | fields)
    stream = answerer.stream(request, None, request_id="r1", deadline=answerer.deadline(request))
    return [event async for event in stream]


@pytest.mark.parametrize("mode", ["auto", "extract"])
async def test_a_stream_gives_evidence_then_sentences_then_the_whole_answer(mode: str) -> None:
    first, *between, last = await _events(Plant(pieces=(TRUE, " [1] ", OTHER_TRUE, " [2]")), mode=mode)
    assert isinstance(first, EvidenceFound)
    assert isinstance(last, Finished)
    sentences = tuple(event.sentence for event in between if isinstance(event, SentenceReady))
    assert len(sentences) == len(between) > 0
    assert sentences == last.answer.sentences


async def test_the_evidence_does_not_wait_for_the_generator() -> None:
    plant = Plant(hangs=["generate"], pieces=())
    answerer = plant.answerer()
    request = AnswerRequest(question=QUESTION)
    async with aclosing(answerer.stream(request, None, request_id="r1", deadline=answerer.deadline(request))) as stream:
        first = await asyncio.wait_for(anext(stream), 1)
    assert isinstance(first, EvidenceFound)


async def test_closing_the_stream_stops_generation() -> None:
    plant = Plant(pieces=[f"{TRUE} [1] ", "And ", "so ", "on "] * 1_000, piece_takes_s=0.001)
    answerer = plant.answerer()
    request = AnswerRequest(question=QUESTION)
    stream = answerer.stream(request, None, request_id="r1", deadline=answerer.deadline(request))
    async with aclosing(stream):
        async for event in stream:
            if isinstance(event, SentenceReady):
                break
    assert plant.generation_ended
    given = plant.given
    await asyncio.sleep(0.01)
    assert plant.given == given < 10


async def test_cancelling_a_request_stops_generation() -> None:
    plant = Plant(hangs=["generate"], pieces=())
    running = asyncio.create_task(ask(plant))
    await asyncio.sleep(0.05)
    assert "generate" in plant.asked
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert plant.generation_ended


# ---- The pace -----------------------------------------------------------------------------------------------------


async def test_generation_is_not_begun_where_it_cannot_finish() -> None:
    plant = Plant()
    answer = await ask(plant, answerer=plant.answerer(first_sentence_ms=1_000), deadline_ms=500)
    assert (answer.mode, answer.status, plant.prompts) == ("extractive", "complete", [])
    assert degraded(answer)["generate"].endswith("generating takes about 1500 ms")


async def test_the_time_to_a_first_sentence_is_learnt() -> None:
    plant = Plant()
    answerer = plant.answerer(first_sentence_ms=1_000)
    for _ in range(40):
        await ask(plant, answerer=answerer)
    assert answerer.pace.needed_ms < 450
    assert (await ask(plant, answerer=answerer, deadline_ms=500)).mode == "generated"


def test_a_slow_spell_does_not_end_generation_for_ever() -> None:
    pace = Pace(800)
    for _ in range(50):
        pace.observe(20_000)
    assert pace.needed_ms > 10_000
    for _ in range(60):
        pace.fade()
    assert pace.needed_ms < 8_000  # the default deadline


def test_requests_with_short_deadlines_do_not_talk_the_estimate_below_the_first_guess() -> None:
    pace = Pace(800)
    for _ in range(1_000):
        pace.fade()
    assert pace.needed_ms == 1_200


@given(st.lists(st.floats(1, 60_000), min_size=1, max_size=60))
def test_the_pace_stays_within_what_was_measured_and_its_scatter(measured: list[float]) -> None:
    pace = Pace(800)
    for milliseconds in measured:
        pace.observe(milliseconds)
    low, high = min(800.0, *measured), max(800.0, *measured)
    assert low <= pace.needed_ms <= high + 2 * (high - low) + 400
