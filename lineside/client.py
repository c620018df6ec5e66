"""A client of Lineside's HTTP interface: answers, evidence, streams."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Literal

import httpx
from pydantic import ValidationError

from lineside.errors import LinesideError
from lineside.schema import Answer, AnswerRequest, ErrorBody, Retrieval, RetrieveRequest

DEFAULT_URL = "http://127.0.0.1:8000"


class ServiceError(LinesideError):
    """The service refused or failed; `code` and the message are its own."""

    def __init__(self, status: int, body: ErrorBody, retry_after_s: float | None = None) -> None:
        super().__init__(body.message)
        self.http_status = status
        self.body = body
        self.retry_after_s = retry_after_s


class Unreachable(LinesideError):
    """There is no service at the URL, or the connection broke."""

    code = "unreachable"


@dataclass(frozen=True, slots=True)
class StreamEvent:
    """One server-sent event: `evidence` (Retrieval), `token` (dict with text and citations) or `answer` (Answer)."""

    name: Literal["evidence", "token", "answer"]
    data: Retrieval | Answer | dict[str, Any]


class Client:
    """Synchronous client; safe to share between threads. Use it as a context manager or call `close`.

    `transport` is the seam for tests, as in httpx.
    """

    def __init__(
        self, url: str = DEFAULT_URL, *, timeout_s: float = 60.0, transport: httpx.BaseTransport | None = None
    ) -> None:
        self._http = httpx.Client(base_url=url, timeout=timeout_s, transport=transport, trust_env=False)

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Closes the connections."""
        self._http.close()

    def answer(self, question: str, *, image: bytes | Path | None = None, **fields: Any) -> Answer:
        """A cited answer. `fields` are those of `AnswerRequest`.

        Raises:
            ServiceError: the service refused or failed.
            Unreachable: there is no service.
            ValidationError: the request itself is malformed.
        """
        request = AnswerRequest(question=question, image=_encoded(image), **fields)
        return Answer.model_validate_json(self._post("/v1/answer", request).content)

    def retrieve(self, question: str, *, image: bytes | Path | None = None, **fields: Any) -> Retrieval:
        """Evidence only; raises as `answer`."""
        request = RetrieveRequest(question=question, image=_encoded(image), **fields)
        return Retrieval.model_validate_json(self._post("/v1/retrieve", request).content)

    def stream(self, question: str, *, image: bytes | Path | None = None, **fields: Any) -> Iterator[StreamEvent]:
        """Events as they come; leaving the loop early cancels the work in the service. Raises as `answer`."""
        request = AnswerRequest(question=question, image=_encoded(image), stream=True, **fields)
        try:
            with self._http.stream("POST", "/v1/answer", **_body(request)) as response:
                if response.is_error:
                    response.read()
                    raise _service_error(response)
                name = ""
                for line in response.iter_lines():
                    if line.startswith("event: "):
                        name = line.removeprefix("event: ")
                    elif line.startswith("data: "):
                        yield _event(name, line.removeprefix("data: "), response)
        except httpx.TransportError as error:
            raise Unreachable(f"{self._http.base_url}: {error}") from error

    def ready(self) -> bool:
        """Whether every stage of the service answers."""
        try:
            return self._http.get("/readyz").status_code == 200
        except httpx.TransportError:
            return False

    def _post(self, path: str, request: RetrieveRequest) -> httpx.Response:
        try:
            response = self._http.post(path, **_body(request))
        except httpx.TransportError as error:
            raise Unreachable(f"{self._http.base_url}: {error}; start the service with `lineside serve`") from error
        if response.is_error:
            raise _service_error(response)
        return response


def _encoded(image: bytes | Path | None) -> str | None:
    if image is None:
        return None
    return base64.b64encode(image.read_bytes() if isinstance(image, Path) else image).decode()


def _body(request: RetrieveRequest) -> dict[str, Any]:
    return {
        "content": request.model_dump_json(exclude_defaults=True),
        "headers": {"content-type": "application/json"},
    }


def _event(name: str, data: str, response: httpx.Response) -> StreamEvent:
    if name == "evidence":
        return StreamEvent("evidence", Retrieval.model_validate_json(data))
    if name == "token":
        return StreamEvent("token", json.loads(data))
    if name == "answer":
        return StreamEvent("answer", Answer.model_validate_json(data))
    raise ServiceError(response.status_code, ErrorBody.model_validate_json(data))


def _service_error(response: httpx.Response) -> ServiceError:
    try:
        body = ErrorBody.model_validate_json(response.content)
    except ValidationError:  # not Lineside's: a proxy in between
        body = ErrorBody(request_id="", code="http", message=f"HTTP {response.status_code}: {response.text[:200]}")
    wait = response.headers.get("retry-after", "")
    return ServiceError(response.status_code, body, float(wait) if wait.isdigit() else None)
