"""A client of Lineside's HTTP interface: answers, evidence, streams, from the first address that is well."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Literal

import httpx
from pydantic import ValidationError

from lineside.errors import ConfigurationError, LinesideError
from lineside.schema import Answer, AnswerRequest, ErrorBody, Retrieval, RetrieveRequest

DEFAULT_URL = "http://127.0.0.1:8000"

_TRY_ELSEWHERE = frozenset({502, 503, 504})
# The same in a stream, whose status was sent before.
_CODES_ELSEWHERE = frozenset({"unavailable", "overloaded", "not_ready", "store_unavailable", "deadline_exceeded"})
_GRACE_S = 1.0  # beyond a request's own deadline, for the way there and back


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

    With several base URLs (a gateway and its replica, then the cluster), the first that is well is asked; where it
    cannot be reached, breaks the connection or is not able to answer now (502, 503, 504), the next one is, within the
    same deadline: questions change nothing, so asking twice is safe. A stream is not begun anew once an event of it has
    come. An address that failed is asked last for `rest_s`.

    `transport` is the seam for tests, as in httpx.
    """

    def __init__(
        self,
        url: str | Sequence[str] = DEFAULT_URL,
        *,
        timeout_s: float = 60.0,
        connect_timeout_s: float = 5.0,
        rest_s: float = 10.0,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        """`timeout_s`: all that a request may take, where its own deadline is not shorter."""
        self.urls = tuple(one.rstrip("/") for one in ((url,) if isinstance(url, str) else url))
        if not self.urls:
            raise ConfigurationError("give at least one base URL")
        self.url = self.urls[0]
        """The one that answered last."""
        self._timeout_s = timeout_s
        self._connect_timeout_s = connect_timeout_s
        self._rest_s = rest_s
        self._rests_until: dict[str, float] = {}
        self._http = httpx.Client(transport=transport, trust_env=False)

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
        return Answer.model_validate_json(self._post("/v1/answer", request))

    def retrieve(self, question: str, *, image: bytes | Path | None = None, **fields: Any) -> Retrieval:
        """Evidence only; raises as `answer`."""
        request = RetrieveRequest(question=question, image=_encoded(image), **fields)
        return Retrieval.model_validate_json(self._post("/v1/retrieve", request))

    def stream(self, question: str, *, image: bytes | Path | None = None, **fields: Any) -> Iterator[StreamEvent]:
        """Events as they come; leaving the loop early cancels the work in the service. Raises as `answer`.

        Behind a gateway `evidence` may come twice before the first `token`: the later counts.
        """
        request = AnswerRequest(question=question, image=_encoded(image), stream=True, **fields)
        for attempt in self._attempts(request):
            with attempt, self._http.stream("POST", attempt.url + "/v1/answer", **attempt.sent) as response:
                if response.is_error:
                    response.read()
                    raise _service_error(response)
                name = ""
                for line in response.iter_lines():
                    if line.startswith("event: "):
                        name = line.removeprefix("event: ")
                    elif line.startswith("data: "):
                        event = _event(name, line.removeprefix("data: "), response)
                        attempt.last = True
                        yield event
            if attempt.succeeded:
                self.url = attempt.url
                return

    def ready(self) -> bool:
        """Whether every stage of the service answers, at one address at least."""
        for url in self._in_order():
            try:
                if self._http.get(f"{url}/readyz", timeout=self._timeout(self._timeout_s)).status_code == 200:
                    return True
            except httpx.TransportError:
                continue
        return False

    def _post(self, path: str, request: RetrieveRequest) -> bytes:
        for attempt in self._attempts(request):
            with attempt:
                response = self._http.post(attempt.url + path, **attempt.sent)
                if response.is_error:
                    raise _service_error(response)
            if attempt.succeeded:
                self.url = attempt.url
                return response.content
        raise AssertionError("the last attempt raises")

    def _attempts(self, request: RetrieveRequest) -> Iterator[_Attempt]:
        """One for each address until one succeeds; the last one raises what went wrong."""
        own_s = _GRACE_S + request.deadline_ms / 1_000 if request.deadline_ms else self._timeout_s
        until = time.monotonic() + min(own_s, self._timeout_s)
        urls = self._in_order()
        for place, url in enumerate(urls):
            left_s = until - time.monotonic()
            sent = request
            if place and request.deadline_ms:
                sent = request.model_copy(update={"deadline_ms": max(1, int((left_s - _GRACE_S) * 1_000))})
            last = place + 1 == len(urls)
            attempt = _Attempt(url, {**_body(sent), "timeout": self._timeout(left_s)}, last=last, until=until)
            yield attempt
            if not attempt.succeeded:
                self._rests_until[url] = time.monotonic() + self._rest_s
            else:
                self._rests_until.pop(url, None)

    def _timeout(self, left_s: float) -> httpx.Timeout:
        left_s = max(0.001, left_s)
        return httpx.Timeout(left_s, connect=min(left_s, self._connect_timeout_s))

    def _in_order(self) -> list[str]:
        """The addresses as given, those that failed lately last."""
        now = time.monotonic()
        return sorted(self.urls, key=lambda url: self._rests_until.get(url, 0.0) > now)


class _Attempt:
    """A context that passes over what another address may do better; the last address's trouble is raised."""

    def __init__(self, url: str, sent: dict[str, Any], *, last: bool, until: float) -> None:
        self.url = url
        self.sent = sent
        self.last = last
        self.succeeded = False
        self._until = until

    def __enter__(self) -> _Attempt:
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> bool:
        if error is None:
            self.succeeded = True
            return False
        again = not self.last and time.monotonic() < self._until
        if isinstance(error, httpx.TransportError):
            if again:
                return True
            raise Unreachable(f"{self.url}: {error}; start the service with `lineside serve`") from error
        # What was refused for good elsewhere would be refused here too; only trouble of the service may be its own.
        return (
            again
            and isinstance(error, ServiceError)
            and (error.http_status in _TRY_ELSEWHERE or error.body.code in _CODES_ELSEWHERE)
        )


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
