"""Triggers of a re-index: `POST /v1/reindex` starts one, `GET /v1/reindex/{id}` tells how it goes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field

from lineside.errors import Conflict, InvalidRequest, NotFound
from lineside.runs import ErrorReport, FileError, Run
from webapi.bodies import read_body, validate_json

_MAX_BODY_BYTES = 16_384
_RETRY_AFTER_S = 30


class ReindexRequest(BaseModel):
    """What to index. The store is the service's own."""

    model_config = ConfigDict(extra="forbid")

    source: str | None = Field(
        None, max_length=2_048, description="one of the configured sources; the only one when left out"
    )
    note: str = Field("", max_length=500, description="kept with the release")


class RunView(BaseModel):
    """A run: its state, progress and counts, and the files it had to leave out."""

    run: Run
    silent: bool = Field(description="not finished and not heard of for a minute: killed, or cut off from the store")
    errors: tuple[FileError, ...] = Field((), description="why a file is not in the release, and what to do")
    warnings: tuple[FileError, ...] = Field((), description="what of a file was left out")


class Reindexing(Protocol):
    """What runs the job: at most one at a time."""

    @property
    def sources(self) -> Sequence[str]:
        """The only ones that may be indexed."""
        ...

    async def start(self, source: str, note: str) -> Run:
        """Starts a run and returns its record. Raises Conflict where one is under way."""
        ...

    async def run(self, run_id: str) -> Run:
        """Raises NotFound."""
        ...

    async def errors(self, run_id: str) -> ErrorReport:
        """Complete when the run is done."""
        ...

    async def latest(self, count: int) -> list[Run]:
        """The newest first."""
        ...


def reindex_router(reindexing: Reindexing | None) -> APIRouter:
    """The routes; with None they say that re-indexing by HTTP is not configured."""
    router = APIRouter(prefix="/v1/reindex", tags=["knowledge"])

    def configured() -> Reindexing:
        if reindexing is None:
            raise NotFound("re-indexing by HTTP is not configured here: set `reindex` in serve_config.yaml")
        return reindexing

    @router.post(
        "",
        status_code=202,
        responses={202: {"model": RunView}},
        openapi_extra={
            "requestBody": {"content": {"application/json": {"schema": ReindexRequest.model_json_schema()}}}
        },
    )
    async def start(request: Request) -> Response:
        """Index a configured source and publish a release. One run at a time: 409 with Retry-After otherwise."""
        jobs = configured()
        body = await read_body(request, _MAX_BODY_BYTES)
        asked = validate_json(ReindexRequest, body) if body.strip() else ReindexRequest()
        source = asked.source or (jobs.sources[0] if len(jobs.sources) == 1 else "")
        if source not in jobs.sources:
            raise InvalidRequest(f"source: use one of {', '.join(jobs.sources)}")
        try:
            run = await jobs.start(source, asked.note)
        except Conflict as busy:
            return _refused(request, str(busy))
        return Response(
            RunView(run=run, silent=False).model_dump_json(),
            status_code=202,
            media_type="application/json",
            headers={"Location": f"/v1/reindex/{run.id}"},
        )

    @router.get("")
    async def latest(count: int = Query(20, ge=1, le=100)) -> list[Run]:
        """The latest runs, the newest first."""
        return await configured().latest(count)

    @router.get("/{run_id}")
    async def one(run_id: str, errors: int = Query(100, ge=0, le=10_000)) -> RunView:
        """State, progress and up to `errors` rows of the error report."""
        jobs = configured()
        run = await jobs.run(run_id)
        report = await jobs.errors(run_id)
        return RunView(
            run=run, silent=run.is_silent(), errors=report.errors[:errors], warnings=report.warnings[:errors]
        )

    return router


def _refused(request: Request, message: str) -> Response:
    from lineside.schema import ErrorBody

    body = ErrorBody(request_id=request.headers.get("x-request-id", "")[:64], code="conflict", message=message)
    return Response(
        body.model_dump_json(),
        status_code=409,
        media_type="application/json",
        headers={"Retry-After": str(_RETRY_AFTER_S)},
    )
