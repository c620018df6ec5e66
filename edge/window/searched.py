"""The search stage with the window beside it: its frames join the release's evidence, within a quota of their own."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from urllib.parse import quote

from edge.window.frames import WindowFrame
from edge.window.rolling import RollingWindow
from edge.window.settings import WindowSettings
from lineside.answering.stages import Search
from lineside.schema import Evidence, Filters
from lineside.search.contract import SearchQuery, SearchResult

_DUPLICATE_COSINE = 0.995  # as the release's images are folded (ImageSettings.duplicate_cosine)


class WindowedSearch:
    """A `Search`: the release's result, then at most `evidence_frames` frames of the window, numbered on.

    When frames of the window are looked for:
    - the question comes with a frame: those like it, down to `similarity_floor`;
    - it comes with a time range alone: those within it, best first where the joint encoder takes text, else latest
      first. There is no floor: the range says what is wanted.
    Frames have no caption, so they are not ranked against the release's labelled images: they stand behind them, take
    none of their places (`k_images` holds for both apart), and do not vote on labels.
    """

    def __init__(self, search: Search, window: RollingWindow, settings: WindowSettings) -> None:
        self._search, self._window, self._settings = search, window, settings

    async def __call__(self, query: SearchQuery) -> SearchResult:
        """Raises what the wrapped search raises."""
        wanted = min(self._settings.evidence_frames, query.k_images)
        if not wanted or not self._concerns(query):
            return await self._search(query)
        looking = asyncio.create_task(asyncio.to_thread(self._look, query, wanted))
        try:
            result = await self._search(query)
        except BaseException:
            looking.cancel()
            raise
        frames, ms = await looking
        return _joined(result, self._evidence(frames, len(result.evidence)), ms)

    def _concerns(self, query: SearchQuery) -> bool:
        """Whether a frame of the window can be evidence; frames have no document, and pass every language filter."""
        filters = query.filters
        return (
            not filters.document_ids
            and not filters.document_kinds
            and (not filters.kinds or "frame" in filters.kinds)
            and (not filters.access or self._settings.access in filters.access)
            and (query.image_vector is not None or _has_range(filters))
        )

    def _look(self, query: SearchQuery, wanted: int) -> tuple[Sequence[WindowFrame], float]:
        """Frames and the milliseconds that it took."""
        started = time.perf_counter()
        filters = query.filters
        cameras = None
        if query.family is not None:
            cameras = [camera for camera, family in self._settings.families.items() if family == query.family]
        first, end = filters.time_from, filters.time_to
        vector = query.joint_text_vector if query.image_vector is None else query.image_vector
        if vector is None:
            found = self._window.latest(cameras=cameras, time_from=first, time_to=end, k=wanted)
        else:
            found = self._window.search(
                vector,
                cameras=cameras,
                time_from=first,
                time_to=end,
                k=wanted,
                duplicate_cosine=_DUPLICATE_COSINE,
            )
        if query.image_vector is not None:
            found = [f for f in found if f.similarity is not None and f.similarity >= self._settings.similarity_floor]
        return found, (time.perf_counter() - started) * 1000

    def _evidence(self, frames: Sequence[WindowFrame], before: int) -> list[Evidence]:
        return [
            Evidence(
                n=n,
                id=frame.id,
                kind="frame",
                family=self._settings.families.get(frame.camera, ""),
                score=frame.similarity or 0.0,
                scores={} if frame.similarity is None else {"window": frame.similarity},
                text=_described(frame),
                title=f"{frame.camera}, {_clock(frame.time)} UTC",
                source="window",
                label=frame.labels[0] if frame.labels else None,
                camera_id=frame.camera,
                time=frame.time,
                image_url=f"/v1/images/{quote(frame.id, safe='')}",
                duplicates=frame.duplicates,
            )
            for n, frame in enumerate(frames, start=before + 1)
        ]


def _joined(result: SearchResult, frames: list[Evidence], ms: float) -> SearchResult:
    return replace(
        result,
        evidence=(*result.evidence, *frames),
        stages_ms={**result.stages_ms, "window": ms},
    )


def _has_range(filters: Filters) -> bool:
    return filters.time_from is not None or filters.time_to is not None


def _described(frame: WindowFrame) -> str:
    shown = f"Camera {frame.camera} at {_clock(frame.time)} UTC"
    if frame.count > 1:
        shown = f"Camera {frame.camera}, unchanged from {_clock(frame.time)} to {_clock(frame.until)} UTC"
    return f"{shown}: {', '.join(frame.labels)}." if frame.labels else f"{shown}."


def _clock(time: datetime) -> str:
    return f"{time:%Y-%m-%d %H:%M:%S}"
