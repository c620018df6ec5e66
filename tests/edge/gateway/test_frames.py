"""Frames by HTTP into the window: what is taken, what is refused and how, before and after the first release."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import numpy as np
import pytest
from fastapi import FastAPI
from fastapi.responses import JSONResponse
from numpy.typing import NDArray
from PIL import Image

from edge.gateway.frame_route import frame_router
from edge.gateway.frames import FrameIntake, FrameWindow
from edge.gateway.knowledge import Knowledge
from edge.sync import OpenRelease
from edge.window import WindowSettings
from lineside.errors import LinesideError, NotReady
from lineside.local_stages import LocalEncoders
from lineside.search.contract import SearchQuery

SETTINGS = WindowSettings(sync="process", max_image_bytes=20_000)


class BrightnessEncoder:
    """Images to 8 values of their brightness: equal images, equal vectors."""

    image_side = 8
    encode: Any = None

    def encode_images(self, images: Sequence[Image.Image]) -> NDArray[np.float32]:
        rows = np.stack([np.asarray(i.convert("L").resize((8, 1)), np.float32)[0] for i in images])
        return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), np.float32)


class FakeServing:
    """A release with a frame encoder and nothing to search."""

    def __init__(self, release: OpenRelease, fingerprint: str | None) -> None:
        self.publication, self.release, self.index, self.joint_dimension = 1, release.release, (), 8
        encoder = BrightnessEncoder()
        spaces = {"text": "t"} | ({} if fingerprint is None else {"joint": fingerprint})
        self.encoders = LocalEncoders(encoder, encoder, spaces)

    def close(self) -> None:
        self.encoders.close()


class Gateway:
    """Knowledge, window and intake; `serve` brings a release of an encoder."""

    def __init__(self, folder: Path) -> None:
        self.window = FrameWindow(folder / "window", SETTINGS, bytes(32))
        self._encoder: str | None = "one"
        self.knowledge = Knowledge(self._open, self.window.fit)
        self.intake = FrameIntake(self.knowledge, self.window)
        self._publication = 0

    def serve(self, encoder: str | None = "one") -> None:
        self._encoder, self._publication = encoder, self._publication + 1
        self.knowledge.adopt(self._publication, lambda: OpenRelease(self._publication, self._publication, (), {}))

    def _open(self, release: OpenRelease, before: object) -> Any:
        return FakeServing(release, self._encoder)

    def close(self) -> None:
        self.knowledge.close()
        self.window.close()


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[Gateway]:
    gateway = Gateway(tmp_path)
    yield gateway
    gateway.close()


@pytest.fixture
async def http(gateway: Gateway) -> AsyncIterator[httpx.AsyncClient]:
    api = FastAPI()
    api.include_router(frame_router(gateway.intake))

    @api.exception_handler(LinesideError)
    async def refused(request: object, error: LinesideError) -> JSONResponse:
        return JSONResponse({"code": error.code, "message": str(error)}, error.status)

    async with httpx.AsyncClient(transport=httpx.ASGITransport(api), base_url="http://gateway") as client:
        yield client


def image(seed: int = 1, side: int = 16) -> bytes:
    out = io.BytesIO()
    Image.fromarray(np.random.default_rng(seed).integers(0, 255, (side, side, 3), np.uint8)).save(out, "PNG")
    return out.getvalue()


async def send(http: httpx.AsyncClient, body: bytes, **query: object) -> httpx.Response:
    return await http.post("/v1/frames", params=query, content=body, headers={"Content-Type": "image/png"})  # type: ignore[arg-type]


async def test_frame_is_kept_and_one_that_shows_the_same_extends_it(gateway: Gateway, http: httpx.AsyncClient) -> None:
    gateway.serve()
    first = await send(http, image(), camera="press-1", labels=["worn"])
    again = await send(http, image(), camera="press-1", labels=["worn"])
    assert (first.status_code, first.json()["count"]) == (201, 1)
    assert again.json() == {"id": first.json()["id"], "count": 2}
    assert gateway.window.image(first.json()["id"]).media_type == "image/webp"


async def test_frame_of_a_form_is_taken_with_its_fields(gateway: Gateway, http: httpx.AsyncClient) -> None:
    gateway.serve()
    fields = {"camera": "press-1", "labels": '["worn", "hot"]'}
    reply = await http.post("/v1/frames", data=fields, files={"image": image()})
    assert reply.status_code == 201
    [kept] = gateway.window.opened().latest(cameras=["press-1"], k=1)
    assert kept.labels == ("worn", "hot")


@pytest.mark.parametrize(
    ("query", "body", "status", "words"),
    [
        ({}, image(), 422, "camera"),
        ({"camera": "a", "time": "yesterday"}, image(), 422, "time"),
        ({"camera": "a", "colour": "red"}, image(), 422, "colour"),
        ({"camera": "a\n"}, image(), 422, "camera"),
        ({"camera": "a"}, b"", 422, "send it as the body"),
        ({"camera": "a"}, b"no image", 415, "image"),
        ({"camera": "a"}, image(side=120), 413, "bytes"),
        ({"camera": "a"}, bytes(200_000), 413, "limit"),
    ],
    ids=["no-camera", "no-time", "unknown", "unprintable", "empty", "no-image", "large-image", "large-body"],
)
async def test_what_cannot_be_a_frame_is_refused_with_its_reason(
    gateway: Gateway, http: httpx.AsyncClient, query: dict[str, str], body: bytes, status: int, words: str
) -> None:
    gateway.serve()
    reply = await send(http, body, **query)
    assert reply.status_code == status, reply.text
    assert words in reply.json()["message"]


async def test_field_that_is_given_twice_is_refused(gateway: Gateway, http: httpx.AsyncClient) -> None:
    gateway.serve()
    reply = await http.post("/v1/frames?camera=a", data={"camera": "b"}, files={"image": image()})
    assert reply.status_code == 422
    assert "query and in the body" in reply.json()["message"]


async def test_before_the_first_release_a_frame_is_refused_for_now(http: httpx.AsyncClient) -> None:
    reply = await send(http, image(), camera="a")
    assert (reply.status_code, reply.json()["code"]) == (503, "not_ready")


async def test_release_without_an_encoder_of_frames_says_so(gateway: Gateway, http: httpx.AsyncClient) -> None:
    gateway.serve(encoder=None)
    reply = await send(http, image(), camera="a")
    assert reply.status_code == 503
    assert "encoders.joint" in reply.json()["message"]


async def test_window_follows_the_encoder_and_keeps_its_frames_for_searches_by_time(gateway: Gateway) -> None:
    gateway.serve()
    kept = await gateway.intake.frame("press-1", None, image())
    gateway.serve(encoder="two")
    await gateway.intake.frame("press-1", None, image(2))
    assert {frame.id for frame in gateway.window.opened("two").latest(k=10)} >= {kept.id}
    with pytest.raises(NotReady):
        gateway.window.opened("one")


async def test_search_goes_on_without_the_window_while_it_is_not_open(gateway: Gateway) -> None:
    found = object()

    async def search(query: SearchQuery) -> Any:
        return found

    serving: Any = SimpleNamespace(encoders=SimpleNamespace(fingerprints={"joint": "one"}))
    assert await gateway.window.wrap(search, serving)(SearchQuery(text="worn?")) is found
