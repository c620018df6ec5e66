"""A client of the routes over an application without models."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest

from webapi import HttpSettings, create_api

from .fake_service import FakeService


@pytest.fixture
def service() -> FakeService:
    return FakeService()


@pytest.fixture
def settings() -> HttpSettings:
    return HttpSettings(
        max_body_bytes=40_000,
        image={"max_bytes": 20_000, "max_pixels": 1_000_000},
        max_in_flight=3,
        reserved_for_alerts=1,
    )


@pytest.fixture
async def client(service: FakeService, settings: HttpSettings) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(create_api(service, settings), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as http:
        yield http
