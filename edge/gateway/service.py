"""`webapi.service.Service` of a gateway: its answers, the documents behind them, how it is."""

from __future__ import annotations

import asyncio
import io
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from importlib.metadata import version

from PIL import Image

from edge.fleet.reports import GatewayReport
from edge.gateway.following import Following
from edge.gateway.frames import FrameWindow
from edge.gateway.knowledge import Knowledge
from edge.gateway.serving import Serving
from edge.sync import Outcome
from edge.window import RollingWindow, WindowStatus
from lineside.documents import Document
from lineside.errors import LinesideError
from lineside.search.contract import SearchQuery
from lineside.shards.images import StoredImage
from webapi.service import Answers, GatewayStatus, Readiness, Status

_PROBE_TIMEOUT_S = 5.0
_PROBE_KEPT_S = 1.0
_INCIDENTS_SHOWN = 5


class GatewayService:
    """What the HTTP routes and the reports of a gateway are made from. Its coroutines belong to one event loop."""

    def __init__(
        self,
        answerer: Answers,
        knowledge: Knowledge,
        following: Following,
        window: FrameWindow | None = None,
        said: Mapping[str, Callable[[], str]] | None = None,
    ) -> None:
        """`said`: what other parts say of themselves in the status, by their section of `gateway.yaml`."""
        self.answerer = answerer
        self._knowledge, self._following, self._window = knowledge, following, window
        self._said = {} if said is None else said
        self._started = time.monotonic()
        self._probe: tuple[float, Readiness] | None = None
        self._probing = asyncio.Lock()
        self._probe_image = _small_image()

    async def document(self, document_id: str, version: str | None = None) -> Document:
        with self._knowledge.serving() as serving:
            return await asyncio.to_thread(serving.document, document_id, version)

    async def image(self, image_id: str) -> StoredImage:
        if self._window is not None and RollingWindow.is_frame_id(image_id):
            return await asyncio.to_thread(self._window.image, image_id)
        with self._knowledge.serving() as serving:
            return await asyncio.to_thread(serving.image, image_id)

    async def status(self) -> Status:
        serving, outcome, state = self._knowledge.now, self._following.last_look, self._following.state
        return Status(
            release=None if serving is None else serving.release,
            rows=0 if serving is None else len(serving.index),
            mean_batch=0.0 if serving is None else serving.mean_batch,
            generating=-1 if serving is not None and serving.writes else 0,
            refused=self._knowledge.problem or _said(outcome, "refused", "failed"),
            outage=_said(outcome, "unreachable"),
            fault=self._following.fault,
            gateway=GatewayStatus(
                name=state.gateway,
                uptime_s=round(time.monotonic() - self._started, 1),
                families=() if serving is None else serving.index.families,
                publication=None if serving is None else serving.publication,
                backup=None if state.backup is None else state.backup.release,
                last_look="" if outcome is None else ": ".join(filter(None, (outcome.status, outcome.reason))),
                incidents=self._incidents(),
                parts=self._parts(),
            ),
        )

    def report(self) -> GatewayReport:
        """How this gateway is now, for the fleet; never blocks."""
        serving, outcome = self._knowledge.now, self._following.last_look
        reason = self._knowledge.problem or self._following.fault or _said(outcome, "refused", "failed") or ""
        return GatewayReport(
            gateway=self._following.state.gateway,
            at=datetime.now(UTC),
            publication=None if serving is None else serving.publication,
            release=None if serving is None else serving.release,
            state="starting" if serving is None else "degraded" if reason else "serving",
            reason=reason[:1_000],
            version=version("lineside"),
            families=() if serving is None else serving.index.families,
            incidents=self._incidents(),
        )

    async def readiness(self) -> Readiness:
        """One probe at a time, its outcome kept for a second: probes of many balancers cost one."""
        async with self._probing:
            if self._probe is None or time.monotonic() - self._probe[0] > _PROBE_KEPT_S:
                self._probe = (time.monotonic(), await self._ask_every_stage())
            return self._probe[1]

    async def _ask_every_stage(self) -> Readiness:
        try:
            with self._knowledge.serving() as serving:
                stages = await self._ask(serving)
                ready = all(said == "ready" for said in stages.values())
                return Readiness(ready, stages, serving.release)
        except LinesideError as error:
            outcome = self._following.last_look
            looked = "the store was not looked at yet" if outcome is None else outcome.reason or outcome.status
            return Readiness(False, {"knowledge": f"{error}; last look at the store: {looked}"})

    async def _ask(self, serving: Serving) -> dict[str, str]:
        """Through every stage, as a question with a frame goes."""
        stages = {"knowledge": "ready"}
        stage = "text_encoder"
        try:
            async with asyncio.timeout(_PROBE_TIMEOUT_S):
                vectors = await serving.encoders.encode_text("ready?")
                stages[stage], stage = "ready", "image_encoder"
                if serving.encoders.encodes_images:
                    await serving.encoders.encode_image(self._probe_image)
                    stages[stage] = "ready"
                stage = "search"
                await serving.search(
                    SearchQuery(text="ready?", text_vector=vectors.text, joint_text_vector=vectors.joint)
                )
                stages[stage] = "ready"
        except TimeoutError:
            stages[stage] = f"no reply within {_PROBE_TIMEOUT_S:g} s"
        except LinesideError as error:
            stages[stage] = str(error)
        return stages

    def _parts(self) -> dict[str, str]:
        parts = {name: says() for name, says in self._said.items()}
        if self._window is not None:
            held = self._window.status()
            parts["window"] = "not open" if held is None else _describe(held)
        return parts

    def _incidents(self) -> tuple[str, ...]:
        latest = reversed(self._following.state.incidents[-_INCIDENTS_SHOWN:])
        return tuple(f"{i.at:%Y-%m-%dT%H:%M:%SZ} publication {i.publication}: {i.reason}"[:1_000] for i in latest)


def _said(outcome: Outcome | None, *statuses: str) -> str | None:
    return outcome.reason if outcome is not None and outcome.status in statuses else None


def _describe(window: WindowStatus) -> str:
    since = "" if window.since is None else f" since {window.since:%Y-%m-%dT%H:%M:%SZ}"
    return (
        f"{window.records} records of {window.frames} frames of {window.cameras} cameras{since}, "
        f"{window.disk_bytes / 2**20:.1f} MiB on the disk, bounded by {window.bounded_by}"
    )


def _small_image() -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (64, 64), "grey").save(buffer, "PNG")
    return buffer.getvalue()
