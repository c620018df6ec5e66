"""Server-sent events of another gateway or the cluster, read back into the events of the pipeline."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing

from pydantic import ValidationError

from lineside.answering.pipeline import Event, EvidenceFound, Finished, SentenceReady
from lineside.errors import (
    Conflict,
    InvalidRequest,
    LinesideError,
    NotFound,
    RequestError,
    TooLarge,
    Unavailable,
    UnsupportedImage,
)
from lineside.schema import Answer, AnswerSentence, ErrorBody, Retrieval

_REQUEST_ERRORS: dict[str, type[RequestError]] = {
    error.code: error for error in (Conflict, NotFound, TooLarge, UnsupportedImage)
} | {RequestError.code: InvalidRequest}


async def read_events(chunks: AsyncGenerator[bytes], max_bytes: int) -> AsyncGenerator[Event]:
    """The events of a stream in UTF-8, however it is cut into chunks; ends after `Finished`.

    Raises:
        RequestError: the other side says that the request is wrong.
        Unavailable: it says anything else, sends no events, too much, or ends before the answer.
    """
    async with aclosing(_blocks(chunks, max_bytes)) as blocks:
        async for name, data in blocks:
            try:
                event = _event(name, data)
            except (ValidationError, ValueError, KeyError, TypeError) as error:
                raise Unavailable(f"event {name[:40]!r} cannot be read: {type(error).__name__}") from error
            if event is not None:
                yield event
            if isinstance(event, Finished):
                return
    raise Unavailable("the stream ended before the answer")


def error_of(body: ErrorBody) -> LinesideError:
    """The other side's error as one of ours: what the caller can mend stays so, the rest is its own trouble."""
    kind = _REQUEST_ERRORS.get(body.code)
    return kind(body.message) if kind is not None else Unavailable(f"{body.code}: {body.message}")


def _event(name: str, data: str) -> Event | None:
    """None for events of a newer service."""
    if name == "evidence":
        return EvidenceFound(Retrieval.model_validate_json(data))
    if name == "token":
        sentence = json.loads(data).get("sentence")
        return None if sentence is None else SentenceReady(AnswerSentence.model_validate(sentence))
    if name == "answer":
        return Finished(Answer.model_validate_json(data))
    if name == "error":
        raise error_of(ErrorBody.model_validate_json(data))
    return None


async def _blocks(chunks: AsyncIterator[bytes], max_bytes: int) -> AsyncGenerator[tuple[str, str]]:
    """(event, data) of each block that ends with an empty line (WHATWG HTML, section 9.2)."""
    waiting, size = b"", 0
    name, data = "message", list[str]()
    async for chunk in chunks:
        size += len(chunk)
        if size > max_bytes:
            raise Unavailable(f"the stream has more than {max_bytes:,} bytes")
        *lines, waiting = (waiting + chunk).split(b"\n")
        for raw in lines:
            line = raw.removesuffix(b"\r").decode("utf-8", "replace")
            field, _, value = line.partition(":")
            value = value.removeprefix(" ")
            if not line:
                if data:
                    yield name, "\n".join(data)
                name, data = "message", []
            elif field == "event":
                name = value
            elif field == "data":
                data.append(value)
