"""The record of answered questions: what it knows after a restart, and what it forgets."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from edge.messaging.answered import AnsweredRecord, QuestionKey
from edge.messaging.messages import Delivery
from lineside.errors import StoreUnavailable

Opened = Callable[..., Awaitable[AnsweredRecord]]


def key(
    payload: bytes = b"Why?",
    *,
    correlation: bytes | None = None,
    response: str | None = None,
    mid: int = 1,
    qos: int = 1,
) -> QuestionKey | None:
    return QuestionKey.of(Delivery("t", payload, qos, False, mid, 1, response, correlation, {}))


NAMED = key(correlation=b"1")
UNNAMED = key()
assert NAMED is not None
assert UNNAMED is not None


@pytest.fixture
async def opened(tmp_path: Path) -> AsyncIterator[Opened]:
    records: list[AnsweredRecord] = []

    async def open_record(capacity: int = 1_000, repeat_s: float = 60) -> AnsweredRecord:
        if records:
            await records.pop().close()
        records.append(AnsweredRecord(tmp_path / "state" / "a.sqlite", capacity=capacity, repeat_s=repeat_s))
        await records[-1].open()
        return records[-1]

    yield open_record
    await records.pop().close()


async def test_what_was_noted_is_known_after_a_restart(opened: Opened) -> None:
    record = await opened()
    await record.note(NAMED, "sent")
    await record.note(UNNAMED, "sending")
    record = await opened()
    assert record.find(NAMED, redelivered=False) == "sent"
    assert record.find(UNNAMED, redelivered=True) == "sending"


async def test_the_oldest_are_forgotten_on_the_disk_too(opened: Opened) -> None:
    record = await opened(capacity=3)
    keys = [key(correlation=b"%d" % n) for n in range(5)]
    for each in keys:
        assert each is not None
        await record.note(each, "sent")
    for again in (record, await opened(capacity=10)):
        assert [again.find(each, redelivered=True) for each in keys if each] == [None, None, "sent", "sent", "sent"]
    assert len(await opened(capacity=2)) == 2


async def test_without_correlation_only_the_brokers_redelivery_is_a_repetition(opened: Opened) -> None:
    record = await opened()
    await record.note(UNNAMED, "sent")
    assert record.find(UNNAMED, redelivered=True) == "sent"
    assert record.find(UNNAMED, redelivered=False) is None


async def test_a_sender_may_ask_the_same_again_after_a_while(opened: Opened) -> None:
    record = await opened(repeat_s=1e-9)
    await record.note(NAMED, "sent")
    assert record.find(NAMED, redelivered=False) is None
    assert record.find(NAMED, redelivered=True) == "sent"


async def test_a_new_session_of_the_broker_gives_packet_ids_a_new_meaning(opened: Opened) -> None:
    record = await opened()
    await record.note(NAMED, "sent")
    await record.note(UNNAMED, "sent")
    await record.forget_unnamed()
    for again in (record, await opened()):
        assert again.find(UNNAMED, redelivered=True) is None
        assert again.find(NAMED, redelivered=True) == "sent"


async def test_a_damaged_record_is_put_aside_and_told(opened: Opened, tmp_path: Path) -> None:
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "a.sqlite").write_bytes(b"not a database" * 1_000)
    record = await opened()
    assert record.damaged
    assert (tmp_path / "state" / "a.damaged").exists()
    await record.note(NAMED, "sent")
    record = await opened()
    assert not record.damaged
    assert record.find(NAMED, redelivered=False) == "sent"


async def test_a_folder_that_cannot_be_used_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreUnavailable, match="look at the disk"):
        await AnsweredRecord(tmp_path / "file" / "a.sqlite", capacity=10, repeat_s=1).open()


def test_questions_differ_by_payload_correlation_and_response_topic() -> None:
    keys = [
        key(correlation=b"1"),
        key(correlation=b"2"),
        key(correlation=b"1", response="a"),
        key(b"Why now?", correlation=b"1"),
        key(),
        key(mid=2),
        key(b"Why now?"),
    ]
    assert len({each.digest for each in keys if each is not None}) == 7
    assert key(correlation=b"1", mid=1) == key(correlation=b"1", mid=2)
    assert key(correlation=b"a", response="b") != key(correlation=b"", response="ba")
    assert key(qos=0) is None
