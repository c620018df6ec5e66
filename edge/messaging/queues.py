"""What waits: questions by priority, frames by camera; bounded in number and bytes, each giving way in its manner."""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from lineside.schema import Priority

ORDER: tuple[Priority, ...] = ("alert", "interactive", "batch")


class Waiting(Protocol):
    """Something that waits; `size` in bytes."""

    @property
    def size(self) -> int: ...


class WaitingQuestion(Waiting, Protocol):
    @property
    def priority(self) -> Priority: ...


Question = TypeVar("Question", bound=WaitingQuestion)
Frame = TypeVar("Frame", bound=Waiting)


@dataclass(frozen=True, slots=True)
class Displaced(Generic[Question]):
    """What a new question has cost: `dropped` had waited, `refused` is the new one itself."""

    dropped: tuple[Question, ...] = ()
    refused: bool = False


class QuestionQueue(Generic[Question]):
    """Alerts are always taken, and first; interactive ones are refused over their limit; batch gives way, oldest first.

    Of one event loop. Alerts may take the bytes over the limit: `full` says so, and their sender must be made to wait.
    """

    def __init__(self, *, interactive: int, batch: int, max_bytes: int) -> None:
        self._limits = {"interactive": interactive, "batch": batch}
        self._max_bytes = max_bytes
        self._waiting: dict[Priority, deque[Question]] = {priority: deque() for priority in ORDER}
        self._arrived = asyncio.Event()
        self.bytes = 0

    def __len__(self) -> int:
        return sum(map(len, self._waiting.values()))

    def count(self, priority: Priority) -> int:
        return len(self._waiting[priority])

    @property
    def full(self) -> bool:
        return self.bytes > self._max_bytes

    def put(self, question: Question) -> Displaced[Question]:
        if question.priority == "interactive" and self.count("interactive") >= self._limits["interactive"]:
            return Displaced(refused=True)
        self._waiting[question.priority].append(question)
        self.bytes += question.size
        dropped: list[Question] = []
        batch = self._waiting["batch"]
        while batch and (len(batch) > self._limits["batch"] or self.full):
            dropped.append(self._pop("batch"))
        if self.full and question.priority == "interactive":
            self._waiting["interactive"].pop()
            self.bytes -= question.size
            return Displaced(tuple(dropped), refused=True)
        self._arrived.set()
        return Displaced(tuple(dropped))

    async def get(self, priorities: Callable[[], Collection[Priority]]) -> Question:
        """The oldest of the highest of these priorities, which are asked for anew whenever something has changed."""
        while (question := self.take(priorities())) is None:
            self._arrived.clear()
            await self._arrived.wait()
        return question

    def take(self, priorities: Collection[Priority]) -> Question | None:
        """The same without waiting."""
        for priority in ORDER:
            if priority in priorities and self._waiting[priority]:
                return self._pop(priority)
        return None

    def wake(self) -> None:
        """Lets those that wait in `get` look again."""
        self._arrived.set()

    def _pop(self, priority: Priority) -> Question:
        question = self._waiting[priority].popleft()
        self.bytes -= question.size
        return question


class FrameQueue(Generic[Frame]):
    """Frames in order for each camera, cameras in turn; one frame of a camera is out at a time. Oldest give way."""

    def __init__(self, *, per_camera: int, cameras: int, max_bytes: int) -> None:
        self._per_camera = per_camera
        self._cameras = cameras
        self._max_bytes = max_bytes
        self._waiting: OrderedDict[str, deque[Frame]] = OrderedDict()
        self._out: set[str] = set()
        self._arrived = asyncio.Event()
        self.bytes = 0

    def __len__(self) -> int:
        return sum(map(len, self._waiting.values()))

    def put(self, camera: str, frame: Frame) -> tuple[Frame, ...]:
        """The frames that are given up for it; the new one itself where it is one camera too many."""
        if camera not in self._waiting and len(self._waiting) >= self._cameras:
            return (frame,)
        self._waiting.setdefault(camera, deque()).append(frame)
        self.bytes += frame.size
        dropped = []
        while len(self._waiting.get(camera, ())) > self._per_camera:
            dropped.append(self._pop(camera))
        while self.bytes > self._max_bytes and self._waiting:
            dropped.append(self._pop(max(self._waiting, key=lambda name: len(self._waiting[name]))))
        self._arrived.set()
        return tuple(dropped)

    async def get(self) -> tuple[str, Frame]:
        """The next frame and its camera, whose next one waits until `done` is called."""
        while (camera := next((name for name in self._waiting if name not in self._out), None)) is None:
            self._arrived.clear()
            await self._arrived.wait()
        frame = self._pop(camera)
        if camera in self._waiting:
            self._waiting.move_to_end(camera)
        self._out.add(camera)
        return camera, frame

    def done(self, camera: str) -> None:
        self._out.discard(camera)
        self._arrived.set()

    def clear(self) -> int:
        """Forgets what waits; gives how many that were."""
        count = len(self)
        self._waiting.clear()
        self.bytes = 0
        return count

    def _pop(self, camera: str) -> Frame:
        frame = self._waiting[camera].popleft()
        self.bytes -= frame.size
        if not self._waiting[camera]:
            del self._waiting[camera]
        return frame
