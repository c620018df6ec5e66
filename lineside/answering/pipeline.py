"""From a question to a cited answer within its deadline: retrieve, then generate or extract, checking every sentence.

encode image ∥ encode text → search → abstain?
    → generate: each sentence leaves only when the evidence it cites supports it
    → extract: verbatim sentences
    → evidence alone
What does not fit into the time left is done in the next cheaper way, and the answer says so.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass, field

from lineside.answering.abstain import AbstainSettings, decide
from lineside.answering.citations import SentenceAssembler, attribute, render, without_repeats
from lineside.answering.deadline import Deadline
from lineside.answering.extract import ExtractSettings, complement, extract
from lineside.answering.prompt import PromptSettings, build_prompt
from lineside.answering.settings import AnsweringSettings, Pace
from lineside.answering.stages import QuestionVectors, Stages
from lineside.answering.support import SupportIndex
from lineside.answering.telemetry import TelemetryReading, prompt_lines, search_terms, summarise
from lineside.errors import DeadlineExceeded, GenerationError, LinesideError, RequestError, Unavailable
from lineside.schema import Answer, AnswerRequest, AnswerSentence, Degradation, Mode, Retrieval, RetrieveRequest, Status
from lineside.search.contract import SearchQuery, SearchResult, Vector


@dataclass(frozen=True, slots=True)
class EvidenceFound:
    """First event of a stream: what was retrieved, and whether it is too little for an answer."""

    retrieval: Retrieval
    abstains: bool = False


@dataclass(frozen=True, slots=True)
class SentenceReady:
    """A checked sentence of the answer, in order."""

    sentence: AnswerSentence


@dataclass(frozen=True, slots=True)
class Finished:
    """Last event of a stream: the whole answer."""

    answer: Answer


Event = EvidenceFound | SentenceReady | Finished


@dataclass(slots=True)
class _Course:
    """What has happened to one request so far."""

    request_id: str
    deadline: Deadline
    stages_ms: dict[str, float] = field(default_factory=dict)
    degraded: list[Degradation] = field(default_factory=list)
    readings: tuple[TelemetryReading, ...] = ()

    def degrade(self, stage: str, reason: str) -> None:
        self.degraded.append(Degradation(stage=stage, reason=reason))


class Answerer:
    """The answering pipeline over the stages of one application."""

    def __init__(
        self,
        stages: Stages,
        settings: AnsweringSettings = AnsweringSettings(),
        *,
        abstain: AbstainSettings = AbstainSettings(),
        extraction: ExtractSettings = ExtractSettings(),
        prompt: PromptSettings = PromptSettings(),
    ) -> None:
        self.stages = stages
        self.settings = settings
        self.pace = Pace(settings.first_sentence_ms)
        self._abstain = abstain
        self._extraction = extraction
        self._prompt = prompt

    def deadline(self, request: RetrieveRequest) -> Deadline:
        """The request's deadline from now, within the maximum."""
        return self.settings.deadline(request)

    async def retrieve(
        self, request: RetrieveRequest, image: bytes | None, *, request_id: str, deadline: Deadline
    ) -> Retrieval:
        """Evidence only.

        Raises:
            RequestError: the image or the family is not usable.
            DeadlineExceeded: the search was not done in time.
            Unavailable: a stage is not there.
        """
        course = _Course(request_id, deadline)
        return _retrieval(course, await self._search(request, image, course, for_answer=False))

    async def answer(
        self, request: AnswerRequest, image: bytes | None, *, request_id: str, deadline: Deadline
    ) -> Answer:
        """The whole answer; raises as `retrieve` does, except that a deadline never raises."""
        async with aclosing(self.stream(request, image, request_id=request_id, deadline=deadline)) as events:
            async for event in events:
                if isinstance(event, Finished):
                    return event.answer
        raise LinesideError("the pipeline ended without an answer")

    async def stream(
        self, request: AnswerRequest, image: bytes | None, *, request_id: str, deadline: Deadline
    ) -> AsyncGenerator[Event]:
        """Evidence, then checked sentences as they come, then the whole answer. Closing it stops generation."""
        course = _Course(request_id, deadline)
        try:
            result = await self._search(request, image, course)
        except DeadlineExceeded as error:
            course.degrade("search", str(error))
            yield Finished(_without_evidence(course))
            return
        refusal = decide(result, request.question, self._abstain)
        yield EvidenceFound(_retrieval(course, result), abstains=refusal is not None)
        if refusal is not None:
            course.degrade("answer", refusal.reason)
            yield Finished(_compose(course, result, "extractive", "abstained", (), text=refusal.text))
            return

        ready: list[AnswerSentence] = []
        if self._may_generate(request, course):
            async with aclosing(self._generate(request, result, course)) as generated:
                async for sentence in generated:
                    ready.append(sentence)
                    yield SentenceReady(sentence)
        if ready:
            for sentence in complement(ready, result, request.question, self._extraction):
                ready.append(sentence)
                yield SentenceReady(sentence)
            cut_short = any(d.stage == "generate" and d.reason.startswith("stopped") for d in course.degraded)
            yield Finished(_compose(course, result, "generated", "partial" if cut_short else "complete", tuple(ready)))
            return

        if deadline.remaining_ms <= 0:
            course.degrade("extract", "no time left; the evidence is returned without an answer")
            yield Finished(_compose(course, result, "evidence", "partial", ()))
            return
        started_ms = deadline.elapsed_ms
        extracted = extract(result, request.question, self._extraction)
        course.stages_ms["extract"] = deadline.elapsed_ms - started_ms
        for sentence in extracted:
            yield SentenceReady(sentence)
        if extracted:
            yield Finished(_compose(course, result, "extractive", "complete", tuple(extracted)))
        else:
            course.degrade("extract", "no passage was found that could be quoted; only images match")
            yield Finished(_compose(course, result, "evidence", "partial", ()))

    async def _search(
        self, request: RetrieveRequest, image: bytes | None, course: _Course, *, for_answer: bool = True
    ) -> SearchResult:
        course.readings = summarise(request.telemetry)
        context = " ".join(part for part in (request.context, search_terms(course.readings)) if part)
        text_first = image is not None or not self.stages.search_encodes_text
        vectors, image_vector = await asyncio.gather(
            self._encode_text(request.question, course) if text_first else _nothing(),
            self._encode_image(image, course) if image is not None else _nothing(),
        )
        query = SearchQuery(
            text=request.question,
            text_vector=vectors.text if vectors else None,
            joint_text_vector=vectors.joint if vectors else None,
            image_vector=image_vector,
            context=context,
            family=request.family,
            filters=request.filters,
            k=request.k,
            for_answer=for_answer,
            budget_ms=min(
                self.settings.search_max_ms, max(0.0, course.deadline.remaining_ms) * self.settings.search_share
            ),
        )
        started_ms = course.deadline.elapsed_ms
        result = await course.deadline.bound(
            self.stages.search(query), stage="search", reserve_ms=self.settings.reserve_ms
        )
        course.stages_ms["search"] = course.deadline.elapsed_ms - started_ms
        if result.dense_recall < self.settings.recall_shown_below:
            course.degrade(
                "search", f"less effort to keep the time: {result.dense_recall:.0%} of the nearest rows expected"
            )
        course.stages_ms.update({f"search.{name}": value for name, value in result.stages_ms.items()})
        return result

    async def _encode_text(self, question: str, course: _Course) -> QuestionVectors:
        started_ms = course.deadline.elapsed_ms
        vectors = await course.deadline.bound(
            self.stages.encode_text(question), stage="encode_text", reserve_ms=self.settings.reserve_ms
        )
        course.stages_ms["encode_text"] = course.deadline.elapsed_ms - started_ms
        return vectors

    async def _encode_image(self, image: bytes, course: _Course) -> Vector | None:
        """None when the vision encoder is late or gone: the question is answered without the image, and says so."""
        deadline = course.deadline
        started_ms = deadline.elapsed_ms
        reserve_ms = max(self.settings.reserve_ms, deadline.remaining_ms * (1 - self.settings.image_share))
        try:
            vector = await deadline.bound(self.stages.encode_image(image), stage="encode_image", reserve_ms=reserve_ms)
        except RequestError:
            raise  # a damaged image is the caller's to mend, not something to pass over
        except (DeadlineExceeded, Unavailable) as error:
            course.degrade("encode_image", f"answered without the image: {error}")
            return None
        course.stages_ms["encode_image"] = deadline.elapsed_ms - started_ms
        return vector

    def _may_generate(self, request: AnswerRequest, course: _Course) -> bool:
        if request.mode == "extract":
            return False
        if self.stages.generate is None:
            if request.mode == "generate":
                course.degrade("generate", "no generator is configured")
            return False
        left = course.deadline.remaining_ms - self.settings.reserve_ms
        if left < self.pace.needed_ms:
            self.pace.fade()
            course.degrade(
                "generate", f"{max(0.0, left):.0f} ms left, generating takes about {self.pace.needed_ms:.0f} ms"
            )
            return False
        return True

    async def _generate(
        self, request: AnswerRequest, result: SearchResult, course: _Course
    ) -> AsyncGenerator[AnswerSentence]:
        """Supported sentences only; what was dropped, and why it ended early, goes into `course.degraded`."""
        if self.stages.generate is None:
            return
        deadline = course.deadline
        started_ms = deadline.elapsed_ms
        messages = build_prompt(
            result,
            request.question,
            context=request.context,
            telemetry=prompt_lines(course.readings),
            settings=self._prompt,
        )
        index = SupportIndex(result.evidence)
        assembler = SentenceAssembler()
        kept: list[AnswerSentence] = []
        dropped = in_a_row = 0
        budget_ms = deadline.remaining_ms - self.settings.reserve_ms
        pieces = self.stages.generate(messages, self.settings.sampling, course.request_id, budget_ms)
        try:
            async with aclosing(pieces):
                ended = False
                while (
                    not ended and len(kept) < self.settings.max_sentences and in_a_row < self.settings.max_unsupported
                ):
                    piece = await deadline.bound(
                        anext(pieces, None), stage="generate", reserve_ms=self.settings.reserve_ms
                    )
                    ended = piece is None
                    if piece:
                        course.stages_ms.setdefault("first_token", deadline.elapsed_ms)
                    drafts = assembler.flush() if piece is None else assembler.feed(piece)
                    for draft in drafts:
                        if len(kept) == self.settings.max_sentences or in_a_row == self.settings.max_unsupported:
                            break
                        sentence = attribute(draft, index)
                        if sentence is None:
                            dropped, in_a_row = dropped + 1, in_a_row + 1
                            continue
                        in_a_row = 0
                        if len(without_repeats([*kept, sentence])) == len(kept):
                            continue
                        if not kept:
                            self.pace.observe(deadline.elapsed_ms - started_ms)
                        kept.append(sentence)
                        yield sentence
        except DeadlineExceeded:
            if not kept:
                self.pace.observe(budget_ms)
            course.degrade("generate", f"stopped by the deadline of {deadline.budget_ms:.0f} ms")
        except (GenerationError, Unavailable) as error:
            course.degrade("generate", f"stopped: {error}")
        course.stages_ms["generate"] = deadline.elapsed_ms - started_ms
        if dropped:
            course.degrade("generate", f"{dropped} generated sentence(s) dropped: the evidence does not support them")


async def _nothing() -> None:
    return None


def _retrieval(course: _Course, result: SearchResult) -> Retrieval:
    return Retrieval.model_construct(
        request_id=course.request_id,
        release=result.release,
        mode="evidence",
        status="complete",
        evidence=result.evidence,
        labels=result.labels,
        stages_ms=_rounded(course),
        degraded=tuple(course.degraded),
    )


def _compose(
    course: _Course,
    result: SearchResult,
    mode: Mode,
    status: Status,
    sentences: tuple[AnswerSentence, ...],
    *,
    text: str | None = None,
) -> Answer:
    return Answer.model_construct(
        request_id=course.request_id,
        release=result.release,
        mode=mode,
        status=status,
        text=render(sentences) if text is None else text,
        sentences=sentences,
        evidence=result.evidence,
        labels=result.labels,
        stages_ms=_rounded(course),
        degraded=tuple(course.degraded),
        deadline_ms=int(course.deadline.budget_ms),
        elapsed_ms=round(course.deadline.elapsed_ms, 2),
    )


def _without_evidence(course: _Course) -> Answer:
    return Answer(
        request_id=course.request_id,
        release=0,
        mode="evidence",
        status="partial",
        text="",
        evidence=(),
        stages_ms=_rounded(course),
        degraded=tuple(course.degraded),
        deadline_ms=int(course.deadline.budget_ms),
        elapsed_ms=round(course.deadline.elapsed_ms, 2),
    )


def _rounded(course: _Course) -> dict[str, float]:
    return {name: round(milliseconds, 2) for name, milliseconds in course.stages_ms.items()}
