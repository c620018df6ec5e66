"""Something that several hold, closed when the last of them lets go."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Generic, Protocol, TypeVar


class Closable(Protocol):
    def close(self) -> None: ...


Held = TypeVar("Held", bound=Closable)


class Shared(Generic[Held]):
    """Counts its holders; whoever makes it is the first. May be used from any thread."""

    def __init__(self, value: Held) -> None:
        self.value = value
        self._holders = 1
        self._lock = threading.Lock()

    def hold(self) -> Shared[Held]:
        """Another holder, for as long as there is one already."""
        with self._lock:
            if not self._holders:
                raise RuntimeError("it was closed: nobody held it any more")
            self._holders += 1
        return self

    def let_go(self) -> None:
        """One holder less; the last one closes it."""
        with self._lock:
            self._holders -= 1
            last = not self._holders
        if last:
            self.value.close()

    @contextmanager
    def held(self) -> Iterator[Held]:
        """Held while the body runs."""
        self.hold()
        try:
            yield self.value
        finally:
            self.let_go()
