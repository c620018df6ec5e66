"""llama.cpp streams, stops when nobody listens, takes turns, and says why it refuses."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import aclosing
from pathlib import Path

import pytest

from lineside.errors import ConfigurationError, GenerationError
from lineside.generation import Message, Sampling
from lineside.generation.llamacpp import LlamaCppGenerator, LlamaCppSettings

COUNT = (Message("user", "Count from one to fifty in words."),)


@pytest.fixture(scope="module")
def generator(models_dir: Path) -> Iterator[LlamaCppGenerator]:
    """The demo's model, two replies at a time."""
    settings = LlamaCppSettings(model=models_dir / "smollm2.gguf", max_model_len=512, slots=2, threads=1)
    generator = LlamaCppGenerator(settings)
    yield generator
    generator.close()


async def _reply(generator: LlamaCppGenerator, messages: tuple[Message, ...] = COUNT, max_tokens: int = 8) -> list[str]:
    stream = generator.stream(messages, Sampling(max_tokens=max_tokens), request_id="r", deadline_ms=60_000)
    return [piece async for piece in stream]


async def test_a_reply_comes_in_pieces_and_ends_at_its_length(generator: LlamaCppGenerator) -> None:
    pieces = await _reply(generator, max_tokens=8)
    assert 2 <= len(pieces) <= 8
    assert "".join(pieces).strip()


async def test_greedy_replies_are_the_same_every_time(generator: LlamaCppGenerator) -> None:
    assert await _reply(generator) == await _reply(generator)


async def test_a_stop_sequence_ends_the_reply(generator: LlamaCppGenerator) -> None:
    whole = "".join(await _reply(generator, max_tokens=12))
    stop = whole.strip()[4:6]
    stream = generator.stream(COUNT, Sampling(max_tokens=12, stop=(stop,)), request_id="r", deadline_ms=60_000)
    assert "".join([piece async for piece in stream]) == whole[: whole.index(stop)]


async def test_closing_a_stream_frees_the_engine_at_once(generator: LlamaCppGenerator) -> None:
    started = time.monotonic()
    for _ in range(3):
        async with aclosing(
            generator.stream(COUNT, Sampling(max_tokens=400), request_id="r", deadline_ms=60_000)
        ) as stream:
            await anext(stream)
    assert await _reply(generator, max_tokens=2)
    assert time.monotonic() - started < 5  # three whole replies take longer


async def test_a_cancelled_reader_leaves_an_engine_that_works(generator: LlamaCppGenerator) -> None:
    reading = asyncio.create_task(_reply(generator, max_tokens=400))
    await asyncio.sleep(0.05)
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    assert await asyncio.wait_for(_reply(generator, max_tokens=2), 10)


async def test_more_requests_than_slots_all_get_their_own_reply(generator: LlamaCppGenerator) -> None:
    questions = [(Message("user", f"Repeat the word {word}."),) for word in ("valve", "pump", "seal", "press")]
    alone = [await _reply(generator, question, 6) for question in questions]
    together = await asyncio.gather(*(_reply(generator, question, 6) for question in questions))
    assert together == alone
    assert len({"".join(reply) for reply in together}) > 1


async def test_the_event_loop_goes_on_while_the_engine_works(generator: LlamaCppGenerator) -> None:
    reading = asyncio.create_task(_reply(generator, max_tokens=16))
    ticks = 0
    while not reading.done():
        await asyncio.sleep(0.005)
        ticks += 1
    assert ticks > 3


async def test_a_prompt_that_is_too_long_is_refused_with_its_size(generator: LlamaCppGenerator) -> None:
    with pytest.raises(GenerationError, match=r"llama.cpp refused the prompt: .*512 tokens"):
        await _reply(generator, (Message("user", "valve " * 2_000),))
    assert await _reply(generator, max_tokens=2)


async def test_it_says_that_it_is_alive(generator: LlamaCppGenerator) -> None:
    await generator.check()


async def test_after_its_end_it_says_so(models_dir: Path) -> None:
    generator = LlamaCppGenerator(LlamaCppSettings(model=models_dir / "smollm2.gguf", max_model_len=256, threads=1))
    generator.close()
    with pytest.raises(GenerationError, match="shut down"):
        await _reply(generator)


def test_a_missing_model_is_a_readable_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="make setup"):
        LlamaCppGenerator(LlamaCppSettings(model=tmp_path / "none.gguf"))


@pytest.mark.slow
def test_a_file_that_is_no_model_is_a_readable_error(tmp_path: Path) -> None:
    (tmp_path / "bad.gguf").write_bytes(b"GGUF" + b"\0" * 100)
    with pytest.raises(GenerationError, match="cannot load"):
        LlamaCppGenerator(LlamaCppSettings(model=tmp_path / "bad.gguf"))
