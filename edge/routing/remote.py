"""One address that can be asked instead: the cluster's or another gateway's, behind a circuit breaker of its own."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import aclosing
from typing import Literal, TypeVar

import httpx
import structlog
from pydantic import ValidationError

from edge.routing.breaker import CircuitBreaker, Permit, State
from edge.routing.event_stream import error_of, read_events
from edge.routing.settings import RoutingSettings
from lineside.answering.deadline import Deadline
from lineside.answering.pipeline import Event, Finished
from lineside.errors import DeadlineExceeded, RequestError, Unavailable
from lineside.schema import AnswerRequest, ErrorBody, Retrieval, RetrieveRequest
from webapi.service import FORWARDED_BY

Kind = Literal["cluster", "peer"]
Asked = TypeVar("Asked", bound=RetrieveRequest)
Result = TypeVar("Result")

_MAX_ERROR_BYTES = 65_536
# They say that this gateway or this path is not welcome, not that the question is wrong.
_NOT_THE_CALLERS = frozenset({401, 403, 405, 407, 408, 421, 429})

_log = structlog.get_logger("lineside.routing")


class Remote:
    """Asks one address; every failure is told to the breaker, and an open breaker refuses at once.

    While the breaker is open a task probes `GET /readyz`, so that no question waits to find out.
    """

    def __init__(
        self,
        url: str,
        kind: Kind,
        http: httpx.AsyncClient,
        settings: RoutingSettings,
        *,
        gateway: str,
        headers: Mapping[str, str] | None = None,
        on_change: Callable[[Remote, State], None] = lambda remote, state: None,
    ) -> None:
        """`gateway` is the name of the one that asks; `headers` go with every request."""
        self.url, self.kind = url, kind
        self.breaker = CircuitBreaker(settings.breaker, on_change=self._changed)
        self._http = http
        self._settings = settings
        self._gateway = gateway
        self._headers = dict(headers or {})
        self._on_change = on_change
        self._watcher: asyncio.Task[None] | None = None

    def __str__(self) -> str:
        return "the cluster" if self.kind == "cluster" else f"gateway {self.url}"

    @property
    def reachable(self) -> bool:
        """Whether it may be asked now."""
        return self.breaker.state == "closed"

    async def stream(
        self, request: AnswerRequest, image: bytes | None, *, request_id: str, budget_ms: float, first_ms: float
    ) -> AsyncGenerator[Event]:
        """Its events; the first must come within `first_ms`, the last within `budget_ms`.

        Raises:
            RequestError: it says that the request is wrong.
            Unavailable: it was not asked, or did not answer.
        """
        permit = self._permit()
        deadline = Deadline.in_ms(budget_ms)
        first = Deadline.in_ms(min(first_ms, budget_ms, self._settings.timeout_ms))
        asked = self._prepared(request, image, budget_ms).model_copy(update={"stream": True})
        took_ms: float | None = None
        try:
            chunks = self._post("/v1/answer", asked, request_id)
            async with aclosing(read_events(chunks, self._settings.max_reply_bytes)) as events:
                while True:
                    limit = first if took_ms is None else deadline
                    event = await self._bound(anext(events), limit, permit)
                    if took_ms is None:
                        took_ms = deadline.elapsed_ms
                    if isinstance(event, Finished):
                        permit.succeeded(took_ms)
                    yield event
                    if isinstance(event, Finished):
                        return
        finally:
            permit.abandoned()

    async def retrieve(
        self, request: RetrieveRequest, image: bytes | None, *, request_id: str, budget_ms: float
    ) -> Retrieval:
        """Its evidence within `budget_ms`; raises as `stream`."""
        budget_ms = min(budget_ms, self._settings.timeout_ms)
        asked = self._prepared(request, image, budget_ms)
        body = await self._whole(self._post("/v1/retrieve", asked, request_id), budget_ms)
        try:
            return Retrieval.model_validate_json(body)
        except ValidationError as error:
            raise Unavailable(f"{self} sent no evidence that can be read") from error

    async def get(self, path: str, *, accept: str, timeout_ms: float) -> tuple[bytes, str]:
        """A cited page or image and its media type.

        Raises:
            RequestError: it says that there is none (NotFound), or what else is wrong.
            Unavailable: it was not asked, or did not answer.
        """
        headers = {"accept": accept, FORWARDED_BY: self._gateway}
        kinds: list[str] = []
        request = self._http.build_request("GET", self.url + path, headers=self._headers | headers)
        data = await self._whole(self._chunks(request, kinds), timeout_ms)
        return data, kinds[0]

    async def probe(self, permit: Permit | None = None) -> bool:
        """Whether it is ready to answer. Without a permit it is asked as it stands, and a failure opens the breaker."""
        timeout_s = self._settings.breaker.probe_timeout_ms / 1000
        reason = ""
        try:
            async with asyncio.timeout(timeout_s):
                response = await self._http.get(f"{self.url}/readyz", headers=self._headers)
            if response.status_code != 200:
                reason = f"not ready: HTTP {response.status_code}"
        except TimeoutError:
            reason = f"no word within {timeout_s:g} s"
        except httpx.HTTPError as error:
            reason = _in_words(error)
        except asyncio.CancelledError:
            if permit is not None:
                permit.abandoned()
            raise
        if permit is not None:
            permit.failed(reason) if reason else permit.succeeded()
        elif reason:
            self.breaker.trip(reason)
        return not reason

    def forget(self) -> None:
        """Ends the probing."""
        if self._watcher is not None:
            self._watcher.cancel()

    async def close(self) -> None:
        """Ends the probing and waits until it has ended."""
        self.forget()
        if self._watcher is not None:
            await asyncio.gather(self._watcher, return_exceptions=True)

    def _permit(self) -> Permit:
        permit = self.breaker.call()
        if permit is None:
            raise Unavailable(f"{self} was not asked: circuit breaker {self.breaker}")
        return permit

    def _prepared(self, request: Asked, image: bytes | None, budget_ms: float) -> Asked:
        told_ms = max(1, int(budget_ms - self._settings.margin_ms))
        return request.model_copy(
            update={
                "deadline_ms": told_ms,
                "forwarded_by": (*request.forwarded_by, self._gateway),
                "image": None if image is None else base64.b64encode(image).decode(),
            }
        )

    def _post(self, path: str, request: RetrieveRequest, request_id: str) -> AsyncGenerator[bytes]:
        headers = {"content-type": "application/json", "x-request-id": request_id}
        body = request.model_dump_json(exclude_defaults=True)
        return self._chunks(
            self._http.build_request("POST", self.url + path, content=body, headers=self._headers | headers), []
        )

    async def _whole(self, chunks: AsyncGenerator[bytes], budget_ms: float) -> bytes:
        permit = self._permit()
        deadline = Deadline.in_ms(budget_ms)

        async def read() -> bytes:
            data = bytearray()
            async with aclosing(chunks):
                async for chunk in chunks:
                    data += chunk
                    if len(data) > self._settings.max_reply_bytes:
                        raise Unavailable(f"the reply has more than {self._settings.max_reply_bytes:,} bytes")
            return bytes(data)

        try:
            data = await self._bound(read(), deadline, permit)
            permit.succeeded(deadline.elapsed_ms)
            return data
        finally:
            permit.abandoned()

    async def _chunks(self, request: httpx.Request, kinds: list[str]) -> AsyncGenerator[bytes]:
        """The body of a good reply; its media type is put into `kinds`. Raises RequestError and Unavailable."""
        response = await self._http.send(request, stream=True)
        try:
            if response.is_success:
                kinds.append(response.headers.get("content-type", ""))
                async for chunk in response.aiter_bytes():
                    yield chunk
                return
            body = b""
            async for chunk in response.aiter_bytes():
                body += chunk
                if len(body) > _MAX_ERROR_BYTES:
                    break
            raise _refusal(response.status_code, body)
        finally:
            await response.aclose()

    async def _bound(self, work: Awaitable[Result], limit: Deadline, permit: Permit) -> Result:
        """Awaits; what goes wrong is told to the breaker and raised as Unavailable, naming the remote."""
        try:
            return await limit.bound(work, stage=str(self))
        except RequestError:
            permit.succeeded(limit.elapsed_ms)  # the link and the other side are well
            raise
        except DeadlineExceeded as error:
            reason = f"no word within {limit.budget_ms:.0f} ms"
            permit.failed(reason)
            raise Unavailable(f"{self} did not answer: {reason}") from error
        except Unavailable as error:
            permit.failed(str(error))
            raise Unavailable(f"{self} did not answer: {error}") from error
        except httpx.PoolTimeout as error:  # this gateway's own bound: it says nothing about the link
            raise Unavailable(
                f"{self} was not asked: all {self._settings.max_connections} connections are busy"
            ) from error
        except httpx.HTTPError as error:
            permit.failed(_in_words(error))
            raise Unavailable(f"{self} did not answer: {_in_words(error)}") from error

    def _changed(self, state: State, reason: str) -> None:
        _log.warning("link", to=self.url, breaker=state, reason=reason)
        self._on_change(self, state)
        if state == "open" and (self._watcher is None or self._watcher.done()):
            self._watcher = asyncio.get_running_loop().create_task(self._watch(), name=f"probe {self.url}")

    async def _watch(self) -> None:
        while self.breaker.state != "closed":
            await asyncio.sleep(self.breaker.probe_in_s)
            permit = self.breaker.probe()
            if permit is not None:
                await self.probe(permit)


def _refusal(status: int, body: bytes) -> RequestError | Unavailable:
    try:
        error = error_of(ErrorBody.model_validate_json(body))
    except ValidationError:  # not Lineside's: a proxy in between, or another service
        return Unavailable(f"HTTP {status}")
    if 400 <= status < 500 and status not in _NOT_THE_CALLERS and isinstance(error, RequestError):
        return error
    return error if isinstance(error, Unavailable) else Unavailable(f"HTTP {status}: {error}")


def _in_words(error: httpx.HTTPError) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
