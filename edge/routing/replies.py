"""Answers as they leave this gateway: who made them, how old their knowledge is, what was missed."""

from __future__ import annotations

from collections.abc import Sequence

from lineside.answering.citations import render
from lineside.answering.deadline import Deadline
from lineside.schema import Answer, AnswerSentence, Degradation, Retrieval

Notes = Sequence[Degradation]


def from_here(answer: Answer, *, gateway: str, age_s: float, notes: Notes = (), owed: bool = False) -> Answer:
    """An answer of this gateway. `owed`: somebody who may know more should have given it, and the notes say why not.

    An abstention that is owed is partial too: not knowing here does not mean that nobody knows.
    """
    text = answer.text
    if owed and answer.status == "abstained":
        text = f"{text} Whoever may know more could not be asked: {notes[-1].reason if notes else 'unreachable'}."
    return answer.model_copy(
        update={
            "status": "partial" if owed else answer.status,
            "text": text,
            "degraded": (*answer.degraded, *notes),
            "served_by": gateway,
            "knowledge_age_s": age_s,
        }
    )


def from_elsewhere(
    answer: Answer, *, served_by: str, request_id: str, deadline: Deadline, asked_ms: float, notes: Notes
) -> Answer:
    """Another's answer with its own release, mode and citations; times are those of the client that asked here."""
    return answer.model_copy(
        update={
            "request_id": request_id,
            "served_by": answer.served_by or served_by,
            "deadline_ms": int(deadline.budget_ms),
            "elapsed_ms": round(deadline.elapsed_ms, 2),
            "stages_ms": answer.stages_ms | {"elsewhere": round(asked_ms, 2)},
            "degraded": (*answer.degraded, *notes),
        }
    )


def cut_off(
    found: Retrieval, sentences: Sequence[AnswerSentence], *, request_id: str, deadline: Deadline, notes: Notes
) -> Answer:
    """What had come when the other side fell silent: checked sentences and their evidence, so partial, not wrong."""
    verbatim = all(citation.quote == sentence.text for sentence in sentences for citation in sentence.citations)
    return Answer(
        request_id=request_id,
        release=found.release,
        mode="extractive" if verbatim else "generated",
        status="partial",
        text=render(sentences),
        sentences=tuple(sentences),
        evidence=found.evidence,
        labels=found.labels,
        stages_ms=found.stages_ms,
        degraded=(*found.degraded, *notes),
        deadline_ms=int(deadline.budget_ms),
        elapsed_ms=round(deadline.elapsed_ms, 2),
        served_by=found.served_by,
        knowledge_age_s=found.knowledge_age_s,
    )


def not_held(
    family: str, *, release: int, gateway: str, age_s: float, request_id: str, deadline: Deadline, notes: Notes
) -> Answer:
    """No answer: another family's manuals would be searched for a question about this one."""
    reason = notes[-1].reason if notes else "nobody else could be asked"
    return Answer(
        request_id=request_id,
        release=release,
        mode="evidence",
        status="partial",
        text=f"This gateway does not hold the manuals of family {family}; those who do could not be asked: {reason}.",
        evidence=(),
        stages_ms={},
        degraded=tuple(notes),
        deadline_ms=int(deadline.budget_ms),
        elapsed_ms=round(deadline.elapsed_ms, 2),
        served_by=gateway,
        knowledge_age_s=age_s,
    )
