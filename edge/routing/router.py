"""Decides who answers a question that reached this gateway, and answers from here where nobody else can.

    here first:      answer here → abstains? → cluster → else the abstention, partial
    elsewhere first: (peers that hold the family →) cluster → else the answer from here, partial

The table behind it is `policy.route`. Whatever fails elsewhere, there is an answer before the deadline.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass, field
from datetime import UTC, datetime

import structlog

from edge.routing import replies
from edge.routing.citations import Origins
from edge.routing.cloud import Cloud
from edge.routing.health import HealthProbe, Level
from edge.routing.policy import Knowledge, Route, route
from edge.routing.remote import Remote
from edge.routing.settings import RoutingSettings
from lineside.answering.deadline import Deadline
from lineside.answering.pipeline import Event, EvidenceFound, Finished
from lineside.errors import LinesideError, RequestError, Unavailable
from lineside.schema import Answer, AnswerRequest, AnswerSentence, Degradation, Retrieval, RetrieveRequest
from webapi.service import Answers

STAGE = "routing"
_REPLY_MS = 10.0  # kept to compose a reply after the last word from elsewhere

_log = structlog.get_logger("lineside.routing")


@dataclass(slots=True)
class _Course:
    """One question: what is decided, and what happened on the way."""

    request_id: str
    deadline: Deadline
    route: Route
    remotes: tuple[Remote, ...]
    notes: list[Degradation] = field(default_factory=list)

    def note(self, reason: str, stage: str = STAGE) -> None:
        self.notes.append(Degradation(stage=stage, reason=reason))


@dataclass(frozen=True, slots=True)
class _Abstention:
    """An abstention that is kept while somebody who may know more is asked."""

    found: EvidenceFound
    answer: Answer


class Router:
    """The four methods of an `Answerer`, over the one of this gateway, its peers and the cluster.

    `counts` says how often each thing happened since the start: `served.here`, `served.peer`, `served.cluster`,
    `partial`, `missed.*` (not reached), `refused.*`, `no_time`, `saving`, `shedding`.
    """

    def __init__(
        self,
        local: Answers,
        cloud: Cloud | None,
        settings: RoutingSettings,
        knowledge: Knowledge,
        *,
        gateway: str,
        health: HealthProbe | None = None,
        origins: Origins | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """`cloud` None: the gateway stands alone. `origins` is told whose evidence clients may want to open."""
        self._local = local
        self._cloud = cloud
        self._settings = settings
        self._knowledge = knowledge
        self._gateway = gateway
        self._health = health or HealthProbe(settings.health)
        self._origins = origins or Origins()
        self._now = now
        self.counts: Counter[str] = Counter()

    def deadline(self, request: RetrieveRequest) -> Deadline:
        """As the pipeline here sets it."""
        return self._local.deadline(request)

    async def answer(
        self, request: AnswerRequest, image: bytes | None, *, request_id: str, deadline: Deadline
    ) -> Answer:
        """The whole answer.

        Raises:
            RequestError: the request is wrong: an unusable image, a family that nobody knows.
            Unavailable: nobody can answer: no release here yet, and nobody else to ask.
        """
        async with aclosing(self.stream(request, image, request_id=request_id, deadline=deadline)) as events:
            async for event in events:
                if isinstance(event, Finished):
                    return event.answer
        raise LinesideError("the stream ended without an answer")

    async def stream(
        self, request: AnswerRequest, image: bytes | None, *, request_id: str, deadline: Deadline
    ) -> AsyncGenerator[Event]:
        """Events of whoever answers; raises as `answer`.

        Evidence comes twice where the first who was asked fell silent before its first sentence: the later counts.
        Sentences that were sent stay valid.
        """
        course = self._course(request, request_id, deadline)
        async with aclosing(self._routed(request, image, course)) as events:
            async for event in events:
                if isinstance(event, Finished):
                    self._count(event.answer, course)
                yield event

    async def retrieve(
        self, request: RetrieveRequest, image: bytes | None, *, request_id: str, deadline: Deadline
    ) -> Retrieval:
        """Evidence of whoever answers; in the order here-first the cluster is asked where nothing at all was found.

        Raises:
            RequestError, Unavailable: as `answer`.
            DeadlineExceeded: the search here was not done in time.
        """
        course = self._course(request, request_id, deadline)
        kept: Retrieval | None = None
        failure: Unavailable | None = None
        if course.route.here_first:
            try:
                kept = await self._local.retrieve(request, image, request_id=request_id, deadline=deadline)
            except Unavailable as error:
                failure = self._not_here(error, course)
            else:
                if kept.evidence or not course.remotes:
                    return self._marked(kept)
        for place, remote in enumerate(course.remotes):
            budget_ms = self._budget_ms(course, kept is not None) / (len(course.remotes) - place)
            if not self._enough(budget_ms, remote, course):
                continue
            try:
                found = await remote.retrieve(request, image, request_id=request_id, budget_ms=budget_ms)
            except Unavailable as error:
                self._missed(remote, error, course)
            except RequestError as error:
                self._refused(remote, error, course)
            else:
                self.counts[f"served.{remote.kind}"] += 1
                found = self._marked_elsewhere(remote, found)
                return found.model_copy(update={"request_id": request_id, "degraded": (*found.degraded, *course.notes)})
        if kept is None and failure is not None:
            raise failure
        if kept is None and course.route.held:
            kept = await self._local.retrieve(request, image, request_id=request_id, deadline=deadline)
        elif kept is None:
            kept = Retrieval(request_id=request_id, release=self._knowledge().release, evidence=(), stages_ms={})
        owed = {"status": "partial", "degraded": (*kept.degraded, *course.notes)}
        return self._marked(kept.model_copy(update=owed))

    def _course(self, request: RetrieveRequest, request_id: str, deadline: Deadline) -> _Course:
        chosen = route(request, self._knowledge(), self._health.level, self._settings.policy)
        remotes: tuple[Remote, ...] = ()
        if chosen.elsewhere and self._cloud is not None:
            peers = self._cloud.holders(request.family) if chosen.peers_too else ()
            remotes = (*peers, *self._cloud.cluster)
        if not remotes:  # nobody to ask: where the family is not held, the pipeline here says which ones are
            chosen = Route(here_first=True, elsewhere=False, peers_too=False, held=chosen.held)
        course = _Course(request_id, deadline, chosen, remotes)
        if chosen.spared:
            self.counts["shedding"] += 1
            course.note(str(self._health.health), stage="health")
        return course

    async def _routed(self, request: AnswerRequest, image: bytes | None, course: _Course) -> AsyncGenerator[Event]:
        kept: _Abstention | None = None
        failure: Unavailable | None = None
        if course.route.here_first:
            found: EvidenceFound | None = None
            try:
                async with aclosing(self._from_here(request, image, course, owed=False)) as events:
                    async for event in events:
                        if isinstance(event, EvidenceFound) and event.abstains and course.remotes:
                            found = event
                        elif isinstance(event, Finished) and found is not None:
                            kept = _Abstention(found, event.answer)
                        else:
                            yield event
                if kept is None:
                    return
            except Unavailable as error:
                failure = self._not_here(error, course)

        async with aclosing(self._elsewhere(request, image, course, has_fallback=kept is not None)) as outcomes:
            async for outcome in outcomes:
                if isinstance(outcome, _Abstention):
                    kept = outcome
                    continue
                yield outcome
                if isinstance(outcome, Finished):
                    return

        if kept is not None:
            yield kept.found
            yield Finished(self._partial(kept.answer, course))
        elif failure is not None:
            raise failure
        elif course.route.held:
            async with aclosing(self._from_here(request, image, course, owed=True)) as events:
                async for event in events:
                    yield event
        else:
            yield Finished(
                replies.not_held(
                    request.family or "",
                    release=self._knowledge().release,
                    gateway=self._gateway,
                    age_s=self._age_s(),
                    request_id=course.request_id,
                    deadline=course.deadline,
                    notes=course.notes,
                )
            )

    async def _from_here(
        self, request: AnswerRequest, image: bytes | None, course: _Course, *, owed: bool
    ) -> AsyncGenerator[Event]:
        notes = list(course.notes) if owed else []
        health = self._health.health
        if health.level >= Level.SAVING:
            self.counts["saving"] += 1
            if not course.route.spared:  # it is among the notes of the way already
                notes.append(Degradation(stage="health", reason=str(health)))
            if request.mode != "extract":
                request = request.model_copy(update={"mode": "extract"})
                notes.append(Degradation(stage="generate", reason="nothing is generated here at this level"))
        events = self._local.stream(request, image, request_id=course.request_id, deadline=course.deadline)
        async with aclosing(events):
            async for event in events:
                if isinstance(event, EvidenceFound):
                    yield EvidenceFound(self._marked(event.retrieval), event.abstains)
                elif isinstance(event, Finished):
                    self._observe(event.answer)
                    age_s = self._age_s()
                    yield Finished(
                        replies.from_here(event.answer, gateway=self._gateway, age_s=age_s, notes=notes, owed=owed)
                    )
                else:
                    yield event

    async def _elsewhere(
        self, request: AnswerRequest, image: bytes | None, course: _Course, *, has_fallback: bool
    ) -> AsyncGenerator[Event | _Abstention]:
        """Events of the first that answers, ending with Finished; or nothing but abstentions of peers."""
        for place, remote in enumerate(course.remotes):
            left = len(course.remotes) - place
            budget_ms = self._budget_ms(course, has_fallback)
            if not self._enough(budget_ms / left, remote, course):
                continue
            started_ms = course.deadline.elapsed_ms
            found: EvidenceFound | None = None
            sentences: list[AnswerSentence] = []
            # A replica that abstains is not the last word: its evidence waits for its first sentence.
            waits = False
            events = remote.stream(
                request, image, request_id=course.request_id, budget_ms=budget_ms, first_ms=budget_ms / left
            )
            try:
                async with aclosing(events):
                    async for event in events:
                        if isinstance(event, EvidenceFound):
                            found = EvidenceFound(self._marked_elsewhere(remote, event.retrieval))
                            waits = remote.kind == "peer" and left > 1
                            if not waits:
                                yield found
                            continue
                        if isinstance(event, Finished) and found is None:
                            raise Unavailable(f"{remote} found nothing in its time")
                        if found is not None and waits:
                            if isinstance(event, Finished) and event.answer.status == "abstained":
                                yield _Abstention(found, event.answer)
                                course.note(f"{remote} does not know")
                                break
                            waits = False
                            yield found
                        if isinstance(event, Finished):
                            asked_ms = course.deadline.elapsed_ms - started_ms
                            yield Finished(self._served(remote, event.answer, course, asked_ms))
                            return
                        sentences.append(event.sentence)
                        yield event
            except Unavailable as error:
                self._missed(remote, error, course)
                if found is not None and sentences:
                    yield Finished(
                        replies.cut_off(
                            found.retrieval,
                            sentences,
                            request_id=course.request_id,
                            deadline=course.deadline,
                            notes=course.notes,
                        )
                    )
                    return
            except RequestError as error:
                self._refused(remote, error, course)

    def _served(self, remote: Remote, answer: Answer, course: _Course, asked_ms: float) -> Answer:
        self.counts[f"served.{remote.kind}"] += 1
        return replies.from_elsewhere(
            answer,
            served_by=remote.kind,
            request_id=course.request_id,
            deadline=course.deadline,
            asked_ms=asked_ms,
            notes=course.notes,
        )

    def _partial(self, answer: Answer, course: _Course) -> Answer:
        """An abstention, of here or of a peer, that is not the last word."""
        gateway = answer.served_by or self._gateway
        age_s = self._age_s() if answer.knowledge_age_s is None else answer.knowledge_age_s
        return replies.from_here(answer, gateway=gateway, age_s=age_s, notes=course.notes, owed=True)

    def _marked(self, found: Retrieval) -> Retrieval:
        return found.model_copy(update={"served_by": self._gateway, "knowledge_age_s": self._age_s()})

    def _marked_elsewhere(self, remote: Remote, found: Retrieval) -> Retrieval:
        self._origins.remember(remote, found.evidence)
        return found.model_copy(update={"served_by": found.served_by or remote.kind})

    def _budget_ms(self, course: _Course, has_fallback: bool) -> float:
        """What asking may take of the time left."""
        needed_here = course.route.held and not has_fallback
        return course.deadline.remaining_ms - (self._settings.fallback_ms if needed_here else _REPLY_MS)

    def _enough(self, budget_ms: float, remote: Remote, course: _Course) -> bool:
        if budget_ms >= self._settings.min_ms:
            return True
        self.counts["no_time"] += 1
        course.note(f"{remote} was not asked: {max(0.0, budget_ms):.0f} ms left for it")
        return False

    def _not_here(self, error: Unavailable, course: _Course) -> Unavailable:
        """Raises it where nobody else is there to answer."""
        if not course.remotes:
            raise error
        course.note(f"not answered here: {error}")
        return error

    def _missed(self, remote: Remote, error: Unavailable, course: _Course) -> None:
        self.counts[f"missed.{remote.kind}"] += 1
        course.note(str(error))

    def _refused(self, remote: Remote, error: RequestError, course: _Course) -> None:
        """Raises it where it is the last word: the cluster's, on a family that is not held here."""
        self.counts[f"refused.{remote.kind}"] += 1
        if remote.kind == "cluster" and not course.route.held:
            raise error
        course.note(f"{remote} refused the question: {error}")

    def _observe(self, answer: Answer) -> None:
        times = [answer.stages_ms[name] for name in ("encode_text", "search") if name in answer.stages_ms]
        if times:
            self._health.observe(sum(times))

    def _age_s(self) -> float:
        return round(max(0.0, (self._now() - self._knowledge().current_at).total_seconds()), 1)

    def _count(self, answer: Answer, course: _Course) -> None:
        """A counter and, where something was missed, a line in the log for everything that is not as it should be."""
        if answer.served_by == self._gateway:
            self.counts["served.here"] += 1
        if answer.status == "partial":
            self.counts["partial"] += 1
        if course.notes:
            _log.info(
                "routed",
                request_id=course.request_id,
                served_by=answer.served_by,
                status=answer.status,
                notes=[note.reason for note in course.notes],
            )
