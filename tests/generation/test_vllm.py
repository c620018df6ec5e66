"""vLLM streams, frees what nobody reads, serves many at once, and its death is seen."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path

import psutil
import pytest
import pytest_asyncio

from lineside.errors import ConfigurationError, GenerationError
from lineside.generation import Message, Sampling
from lineside.generation.vllm import VllmGenerator, VllmSettings

COUNT = (Message("user", "Count from one to fifty in words."),)

# One engine for all, on one loop: it belongs to the loop that it was started on.
on_one_loop = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def generator(models_dir: Path) -> AsyncIterator[VllmGenerator]:
    """The demo's model; the last test of this module kills its process."""
    generator = VllmGenerator(VllmSettings(model=models_dir / "smollm2", max_model_len=2048, max_num_seqs=4))
    yield generator
    generator.close()


async def _reply(
    generator: VllmGenerator, messages: tuple[Message, ...] = COUNT, max_tokens: int = 8, name: str = "r"
) -> str:
    stream = generator.stream(messages, Sampling(max_tokens=max_tokens), request_id=name, deadline_ms=60_000)
    return "".join([piece async for piece in stream])


async def _idle(generator: VllmGenerator, within_s: float) -> bool:
    """Whether the engine has nothing left to do, at the latest after `within_s`."""
    until = time.monotonic() + within_s
    while generator.unfinished() and time.monotonic() < until:  # noqa: ASYNC110 - the engine has no event for it
        await asyncio.sleep(0.01)
    return generator.unfinished() == 0


@on_one_loop
@pytest.mark.slow
@pytest.mark.integration
async def test_a_reply_comes_in_pieces_and_ends_at_its_length(generator: VllmGenerator) -> None:
    stream = generator.stream(COUNT, Sampling(max_tokens=8), request_id="pieces", deadline_ms=60_000)
    pieces = [piece async for piece in stream]
    assert 2 <= len(pieces) <= 8
    assert "".join(pieces).strip()
    assert generator.unfinished() == 0
    await generator.check()


@on_one_loop
@pytest.mark.slow
@pytest.mark.integration
async def test_closing_a_stream_frees_the_engine(generator: VllmGenerator) -> None:
    async with aclosing(
        generator.stream(COUNT, Sampling(max_tokens=1_000), request_id="closed", deadline_ms=60_000)
    ) as stream:
        await anext(stream)
        assert generator.unfinished() == 1
    assert await _idle(generator, within_s=5)


@on_one_loop
@pytest.mark.slow
@pytest.mark.integration
async def test_cancelling_the_reader_frees_the_engine(generator: VllmGenerator) -> None:
    reading = asyncio.create_task(_reply(generator, max_tokens=1_000))
    while not generator.unfinished():  # noqa: ASYNC110 - the engine has no event for it
        await asyncio.sleep(0.01)
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    assert await _idle(generator, within_s=5)


@on_one_loop
@pytest.mark.slow
@pytest.mark.integration
async def test_requests_at_the_same_time_get_their_own_replies(generator: VllmGenerator) -> None:
    questions = [(Message("user", f"Repeat this word: {word}"),) for word in ("valve", "pump", "seal", "press", "coil")]
    replies = await asyncio.gather(
        *(_reply(generator, question, 6, f"many-{n}") for n, question in enumerate(questions))
    )
    assert all(replies)
    assert len(set(replies)) > 1
    assert generator.unfinished() == 0


@on_one_loop
@pytest.mark.slow
@pytest.mark.integration
async def test_a_prompt_that_is_too_long_is_refused_with_its_size(generator: VllmGenerator) -> None:
    with pytest.raises(GenerationError, match=r"the prompt has \d+ tokens; the model takes 2048"):
        await _reply(generator, (Message("user", "valve " * 3_000),))
    assert await _reply(generator, max_tokens=2)


@on_one_loop
@pytest.mark.slow
@pytest.mark.integration
async def test_a_reply_is_cut_to_the_room_that_the_prompt_leaves(generator: VllmGenerator) -> None:
    assert await _reply(generator, (Message("user", "valve " * 1_900),), max_tokens=4_000)


@on_one_loop
@pytest.mark.slow
@pytest.mark.integration
async def test_a_killed_engine_is_seen_by_the_check_and_by_every_stream(generator: VllmGenerator) -> None:
    reading = asyncio.create_task(_reply(generator, max_tokens=1_500, name="running"))
    while not generator.unfinished():  # noqa: ASYNC110 - the engine has no event for it
        await asyncio.sleep(0.01)
    engines = [p for p in psutil.Process().children(recursive=True) if "EngineCore" in p.name() + "".join(p.cmdline())]
    assert engines
    for engine in engines:
        engine.kill()
    with pytest.raises(GenerationError):
        await asyncio.wait_for(reading, 10)
    with pytest.raises(GenerationError, match="dead"):
        await generator.check()
    with pytest.raises(GenerationError):
        await asyncio.wait_for(_reply(generator, name="after"), 10)


def test_a_missing_model_is_a_readable_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="make setup"):
        VllmGenerator(VllmSettings(model=tmp_path))
