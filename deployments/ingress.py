"""Ingress: HTTP in, the answering pipeline over handles to the other deployments; it does no heavy work itself."""

from __future__ import annotations

import asyncio
import io
import time
from collections.abc import AsyncGenerator, Awaitable
from typing import Any

from fastapi import FastAPI
from PIL import Image
from ray import serve
from ray.serve.handle import DeploymentHandle

from deployments.handles import call, stream
from deployments.process import start_process
from deployments.reindex import ClusterReindexing
from deployments.remote_search import RemoteSearch, Searching
from deployments.search_stage import SearchStage
from deployments.settings import ApplicationSettings, RetrieverLimits, read_user_config
from lineside.answering.pipeline import Answerer
from lineside.answering.stages import QuestionVectors, Stages
from lineside.documents import Document
from lineside.errors import LinesideError
from lineside.generation import Message, Sampling
from lineside.search.contract import SearchQuery, Vector
from lineside.shards.images import StoredImage
from webapi import create_api
from webapi.service import Readiness, Status

_PROBE_TIMEOUT_S = 5.0
_PROBE_KEPT_S = 1.0


@serve.deployment
@serve.ingress()
class Ingress:
    """Implements `webapi.service.Service` over Serve handles."""

    def __init__(
        self,
        settings: ApplicationSettings,
        vision_encoder: DeploymentHandle,
        text_encoder: DeploymentHandle,
        retriever: DeploymentHandle,
        generator: DeploymentHandle | None,
    ) -> None:
        start_process()
        self._settings = settings
        self._vision, self._text, self._generator = vision_encoder, text_encoder, generator
        self._text_with_search = settings.placement.text_encoder == "retriever"
        self._searching: Searching = (
            SearchStage(
                settings.store,
                settings.cache,
                settings.search,
                settings.text_encoder,
                settings.joint_encoder,
                self._text_with_search,
            )
            if settings.placement.retriever == "ingress"
            else RemoteSearch(retriever)
        )
        self.answerer = Answerer(
            Stages(
                encode_text=self._encode_text,
                encode_image=self._encode_image,
                search=self._searching.search,
                generate=self._generate if generator is not None else None,
                search_encodes_text=self._text_with_search,
            ),
            settings.answering,
        )
        self._probe: tuple[float, Readiness] | None = None
        self._probing = asyncio.Lock()
        self._probe_image = _small_image()
        self._generated_once = False

    def reconfigure(self, config: dict[str, Any]) -> None:
        limits = read_user_config(RetrieverLimits, config)
        if isinstance(self._searching, SearchStage):
            self._searching.configure(limits)

    def __serve_build_asgi_app__(self) -> FastAPI:
        reindex = self._settings.reindex
        return create_api(
            self, self._settings.http, reindexing=ClusterReindexing(self._settings, reindex) if reindex else None
        )

    async def document(self, document_id: str, version: str | None = None) -> Document:
        return await self._searching.document(document_id, version)

    async def image(self, image_id: str) -> StoredImage:
        return await self._searching.image(image_id)

    async def status(self) -> Status:
        searching = await self._searching.status()
        generating = await call(self._generator, "unfinished", stage="generator") if self._generator else 0
        return Status(
            release=searching.release,
            rows=searching.rows,
            mean_batch=searching.mean_batch,
            generating=generating,
            refused=searching.refused,
            outage=searching.outage,
            pinned=searching.pinned,
            fault=searching.fault,
        )

    async def readiness(self) -> Readiness:
        """One probe at a time, its outcome kept for a second: probes of many balancers cost one."""
        async with self._probing:
            if self._probe is None or time.monotonic() - self._probe[0] > _PROBE_KEPT_S:
                self._probe = (time.monotonic(), await self._ask_every_stage())
            return self._probe[1]

    async def _ask_every_stage(self) -> Readiness:
        probes: dict[str, Awaitable[Any]] = {
            "vision_encoder": self._encode_image(self._probe_image),
            "text_encoder": self._encode_text("ready?"),
            "retriever": self._searching.search(SearchQuery(text="ready?", k=1)),
        }
        if self._generator is not None:
            probes["generator"] = self._ask_generator()
        outcomes = await asyncio.gather(*(_outcome(probe) for probe in probes.values()))
        stages = {name: "ready" if isinstance(out, tuple) else out for name, out in zip(probes, outcomes, strict=True)}
        searched = outcomes[list(probes).index("retriever")]
        release = searched[0].release if isinstance(searched, tuple) else None
        return Readiness(ready=all(state == "ready" for state in stages.values()), stages=stages, release=release)

    async def _ask_generator(self) -> None:
        """A token the first time, so that the first client does not pay for warming up; a health check later."""
        if self._generated_once:
            await call(self._generator, "check", stage="generator")
            return
        messages = (Message("user", "Ready?"),)
        async for _ in self._generate(messages, Sampling(max_tokens=1), "readiness", _PROBE_TIMEOUT_S * 1000):
            pass
        self._generated_once = True

    async def _encode_text(self, question: str) -> QuestionVectors:
        if self._text_with_search:
            return await self._searching.encode_text(question)
        vectors: QuestionVectors = await call(self._text, "encode", question, stage="text_encoder")
        return vectors

    async def _encode_image(self, image: bytes) -> Vector:
        vector: Vector = await call(self._vision, "encode", image, stage="vision_encoder")
        return vector

    def _generate(
        self, messages: tuple[Message, ...], sampling: Sampling, request_id: str, deadline_ms: float
    ) -> AsyncGenerator[str]:
        assert self._generator is not None
        return stream(self._generator, "stream", messages, sampling, request_id, deadline_ms, stage="generator")


async def _outcome(probe: Awaitable[Any]) -> tuple[Any] | str:
    try:
        async with asyncio.timeout(_PROBE_TIMEOUT_S):
            return (await probe,)
    except TimeoutError:
        return f"no reply within {_PROBE_TIMEOUT_S:g} s"
    except LinesideError as error:
        return str(error)


def _small_image() -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (32, 32), "grey").save(buffer, "PNG")
    return buffer.getvalue()
