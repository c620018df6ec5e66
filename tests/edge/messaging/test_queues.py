"""What waits, and what gives way."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from edge.messaging.queues import ORDER, FrameQueue, QuestionQueue
from lineside.schema import Priority


@dataclass(frozen=True)
class Item:
    """Waits."""

    n: int
    priority: Priority = "interactive"
    size: int = 1


QUESTIONS = st.lists(st.tuples(st.sampled_from(ORDER), st.integers(1, 40)), max_size=60)


def put_all(queue: QuestionQueue[Item], questions: list[tuple[Priority, int]]) -> tuple[list[Item], list[Item]]:
    """What was dropped, and what was refused, in order."""
    dropped, refused = [], []
    for n, (priority, size) in enumerate(questions):
        item = Item(n, priority, size)
        displaced = queue.put(item)
        dropped += displaced.dropped
        refused += [item] if displaced.refused else []
    return dropped, refused


@given(QUESTIONS)
def test_no_question_is_lost_and_no_alert_gives_way(questions: list[tuple[Priority, int]]) -> None:
    queue: QuestionQueue[Item] = QuestionQueue(interactive=5, batch=3, max_bytes=100)
    dropped, refused = put_all(queue, questions)
    assert {item.priority for item in dropped} <= {"batch"}
    assert {item.priority for item in refused} <= {"interactive"}
    assert queue.count("interactive") <= 5
    assert queue.count("batch") <= 3
    waiting = []
    while (item := queue.take(ORDER)) is not None:
        waiting.append(item)
    assert queue.bytes == 0
    assert sorted(item.n for item in (*dropped, *refused, *waiting)) == list(range(len(questions)))


@given(QUESTIONS)
def test_questions_leave_by_priority_and_in_order(questions: list[tuple[Priority, int]]) -> None:
    queue: QuestionQueue[Item] = QuestionQueue(interactive=60, batch=60, max_bytes=10_000)
    put_all(queue, questions)
    left = [queue.take(ORDER) for _ in questions]
    assert left == sorted(left, key=lambda item: (ORDER.index(item.priority), item.n))  # type: ignore[union-attr]


@given(QUESTIONS)
def test_analytics_are_dropped_oldest_first(questions: list[tuple[Priority, int]]) -> None:
    queue: QuestionQueue[Item] = QuestionQueue(interactive=5, batch=3, max_bytes=100)
    dropped, _ = put_all(queue, questions)
    assert [item.n for item in dropped] == sorted(item.n for item in dropped)
    waiting = queue.take(("batch",))
    assert waiting is None or all(item.n < waiting.n for item in dropped)


def test_only_alerts_take_more_bytes_than_there_are() -> None:
    queue: QuestionQueue[Item] = QuestionQueue(interactive=9, batch=9, max_bytes=10)
    queue.put(Item(0, "batch", 8))
    assert [item.n for item in queue.put(Item(1, "alert", 8)).dropped] == [0]
    assert queue.put(Item(2, "interactive", 8)).refused
    assert not queue.full
    queue.put(Item(3, "alert", 8))
    assert queue.full
    queue.take(ORDER)
    assert not queue.full


async def test_a_worker_for_alerts_waits_for_alerts_alone() -> None:
    queue: QuestionQueue[Item] = QuestionQueue(interactive=9, batch=9, max_bytes=10)
    waiting = asyncio.create_task(queue.get(lambda: ("alert",)))
    queue.put(Item(0, "interactive"))
    queue.put(Item(1, "alert"))
    assert (await waiting).n == 1
    assert (await queue.get(lambda: ORDER)).n == 0


@given(st.lists(st.tuples(st.sampled_from("abcd"), st.integers(1, 30)), max_size=60))
def test_frames_give_way_oldest_first_and_stay_within_every_bound(frames: list[tuple[str, int]]) -> None:
    queue: FrameQueue[Item] = FrameQueue(per_camera=3, cameras=3, max_bytes=60)
    gone: dict[str, list[int]] = {}
    for n, (camera, size) in enumerate(frames):
        item = Item(n, size=size)
        for dropped in queue.put(camera, item):
            gone.setdefault(frames[dropped.n][0], []).append(dropped.n)
        assert queue.bytes <= 60
        assert len(queue) <= 9
    assert len(queue) + sum(map(len, gone.values())) == len(frames)
    assert all(numbers == sorted(numbers) for numbers in gone.values())


async def test_cameras_take_turns_and_one_frame_of_a_camera_is_out_at_a_time() -> None:
    queue: FrameQueue[Item] = FrameQueue(per_camera=9, cameras=9, max_bytes=60)
    for n, camera in enumerate("aaab"):
        queue.put(camera, Item(n))
    assert [(await queue.get())[1].n for _ in range(2)] == [0, 3]
    waiting = asyncio.create_task(queue.get())
    await asyncio.sleep(0)
    assert not waiting.done()
    queue.done("a")
    assert (await waiting)[1].n == 1
