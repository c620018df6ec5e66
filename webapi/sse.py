"""Server-sent events (WHATWG HTML, section 9.2) of an answer: evidence first, then sentences, then the whole answer."""

from __future__ import annotations

import json

from lineside.answering.pipeline import Event, EvidenceFound, SentenceReady
from lineside.errors import LinesideError
from lineside.schema import ErrorBody

MEDIA_TYPE = "text/event-stream"


def encode(name: str, data: str) -> bytes:
    """One event; `data` is JSON on one line."""
    return f"event: {name}\ndata: {data}\n\n".encode()


def encode_event(event: Event) -> bytes:
    """`evidence` (a Retrieval), `token` (a checked sentence with its citations) or `answer` (an Answer).

    A `token` has what a console prints (`text` with its marks, `citations`) and the whole AnswerSentence (`sentence`).
    """
    if isinstance(event, EvidenceFound):
        return encode("evidence", event.retrieval.model_dump_json())
    if isinstance(event, SentenceReady):
        sentence = event.sentence
        numbers = list(dict.fromkeys(citation.n for citation in sentence.citations))
        marks = "".join(f"[{n}]" for n in numbers)
        token = {"text": f"{sentence.text} {marks}", "citations": numbers, "sentence": sentence.model_dump(mode="json")}
        return encode("token", json.dumps(token, ensure_ascii=False))
    return encode("answer", event.answer.model_dump_json())


def encode_error(request_id: str, error: LinesideError) -> bytes:
    """`error` (an ErrorBody): nothing follows it."""
    return encode("error", ErrorBody(request_id=request_id, code=error.code, message=str(error)).model_dump_json())
