"""One flush of the disk for all frames that arrive within a short time, whoever of them waits (group commit).

As in databases (Hagmann 1987, "Reimplementing the Cedar file system using logging and group commit"): the first that
waits becomes the leader, gives others time to write, flushes for all of them, and wakes them.
"""

from __future__ import annotations

import errno
import threading
import time
from collections.abc import Callable


class CommitGroup:
    """Frames that become durable together."""

    __slots__ = ("done", "error")

    def __init__(self) -> None:
        self.done = False
        self.error: OSError | None = None


class GroupCommit:
    """Groups of writes. `changed` belongs to the lock that writes are made under."""

    def __init__(
        self,
        take: Callable[[], Callable[[], None]],
        failed: Callable[[OSError], None],
        changed: threading.Condition,
        wait_s: float,
    ) -> None:
        """`take` is called with the lock held and gives what flushes all that was written so far, without the lock.

        `failed` is called with the lock held when a flush failed, before anything else can be written.
        """
        self._take, self._failed, self._changed, self._wait_s = take, failed, changed, wait_s
        self._leading = False
        self.current = CommitGroup()

    def wait(self, group: CommitGroup) -> None:
        """Returns when the group is durable; the lock is not held. Raises OSError where it did not get so."""
        with self._changed:
            while not group.done and self._leading:
                self._changed.wait()
            if not group.done:
                self._leading = True
        if not group.done:
            self._lead()
        if group.error is not None:
            raise OSError(*group.error.args) from group.error

    def fail(self, error: OSError) -> None:
        """What was written since the last flush is given up; the lock is held."""
        self._end(self.current, error)
        self.current = CommitGroup()

    def _lead(self) -> None:
        """Flushes the current group, which is the leader's: a group is only replaced once it is flushed or failed."""
        group = None
        error: OSError | None = OSError(errno.EINTR, "the flush was interrupted")
        try:
            time.sleep(self._wait_s)
            with self._changed:
                group, self.current = self.current, CommitGroup()
                flush = self._take()
            flush()
            error = None
        except OSError as problem:
            error = problem
        finally:
            with self._changed:
                self._leading = False
                if group is not None:
                    self._end(group, error)
                if error is not None:
                    self._failed(error)

    def _end(self, group: CommitGroup, error: OSError | None) -> None:
        group.error, group.done = error, True
        self._changed.notify_all()
