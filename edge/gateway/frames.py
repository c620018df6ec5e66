"""Frames in: encoded by the joint encoder, then kept in the rolling window; and the window as a part of search."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import structlog

from edge.gateway.knowledge import Knowledge
from edge.gateway.serving import Serving
from edge.window import Collapsed, FrameIn, RollingWindow, WindowedSearch, WindowSettings, WindowStatus
from edge.window.frames import check_names
from lineside.answering.stages import Search
from lineside.encoders.images import ImageLimits, inspect_image
from lineside.errors import LinesideError, NotFound, NotReady, Overloaded
from lineside.search.contract import SearchQuery, SearchResult
from lineside.shards.images import StoredImage

log = structlog.get_logger("lineside.gateway")

_IN_HAND_MAX = 64  # frames that are encoded or written at the same time, each up to `max_image_bytes`


@dataclass(frozen=True, slots=True)
class FrameKept:
    """`id` of the record; `count` is above 1 where the camera showed the same before, and the record lasts longer."""

    id: str
    count: int = 1


class FrameWindow:
    """The rolling window of this gateway, which fits the joint encoder of the release that is served.

    `fit` and `close` belong to the thread that swaps releases; the rest may be called from any.
    """

    def __init__(self, folder: Path, settings: WindowSettings, key: bytes) -> None:
        self.settings = settings
        self._folder, self._key = folder, key
        self._now: tuple[str, RollingWindow] | None = None
        self._why = "it opens with the first release"

    def fit(self, serving: Serving) -> None:
        """Opens the window for the encoders of a release, unless it is open for them already."""
        fingerprint = serving.encoders.fingerprints.get("joint")
        if self._now is not None and self._now[0] == fingerprint:
            return
        self.close()
        if fingerprint is None:
            self._why = "no encoder of frames is configured: set encoders.joint"
            return
        try:
            window = RollingWindow.open(self._folder, self.settings, self._key, serving.joint_dimension, fingerprint)
        except (LinesideError, OSError) as error:
            self._why = str(error)
            log.error("window_not_opened", reason=self._why)
            return
        self._now = (fingerprint, window)

    def opened(self, fingerprint: str | None = None) -> RollingWindow:
        """The window, where it is open, and for that encoder; raises NotReady."""
        now = self._now
        if now is None or fingerprint not in (None, now[0]):
            raise NotReady(f"the window of frames is not open: {self._why}", 1.0)
        return now[1]

    def status(self) -> WindowStatus | None:
        return None if self._now is None else self._now[1].status()

    def image(self, image_id: str) -> StoredImage:
        """The thumbnail of a frame; raises NotFound."""
        now = self._now
        if now is None:
            raise NotFound(f"no image {image_id}: the window of frames is not open")
        return now[1].image(image_id)

    def wrap(self, search: Search, serving: Serving) -> Search:
        """Search with the frames of the window beside the release's evidence, once it is open."""
        fingerprint = serving.encoders.fingerprints.get("joint")

        async def windowed(query: SearchQuery) -> SearchResult:
            now = self._now
            if now is None or now[0] != fingerprint:
                return await search(query)
            return await WindowedSearch(search, now[1], self.settings)(query)

        return windowed

    def close(self) -> None:
        now, self._now = self._now, None
        if now is not None:
            now[1].close()


class FrameIntake:
    """Takes frames of cameras in, from HTTP and from MQTT. Belongs to one event loop."""

    def __init__(self, knowledge: Knowledge, window: FrameWindow) -> None:
        self._knowledge, self._window = knowledge, window
        self._limits = ImageLimits(max_bytes=window.settings.max_image_bytes, max_pixels=window.settings.max_pixels)
        self._in_hand = 0

    @property
    def limits(self) -> ImageLimits:
        return self._limits

    async def frame(self, camera: str, time: datetime | None, image: bytes, labels: tuple[str, ...] = ()) -> FrameKept:
        """Keeps a frame; returns when it is durable. `time` None: now; without a zone: UTC.

        Raises:
            RequestError: a name, the time or the image cannot be used.
            Unavailable: not now; the message says why.
        """
        check_names(camera, labels)
        inspect_image(image, self._limits)
        with self._place(), self._knowledge.serving() as serving:
            vector = await serving.encoders.encode_image(image)
            window = self._window.opened(serving.encoders.fingerprints.get("joint"))
            frame = FrameIn(camera, time or datetime.now(UTC), image, vector, labels)
            kept = await asyncio.to_thread(window.add, frame)
        return FrameKept(kept.id, kept.count if isinstance(kept, Collapsed) else 1)

    @contextmanager
    def _place(self) -> Iterator[None]:
        if self._in_hand >= _IN_HAND_MAX:
            raise Overloaded(f"{self._in_hand} frames are being taken in; send this one again in a second")
        self._in_hand += 1
        try:
            yield
        finally:
            self._in_hand -= 1
