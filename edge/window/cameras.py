"""What each camera showed last: a row of the bucket that is open, which a frame that shows the same extends."""

from __future__ import annotations

import threading
from dataclasses import dataclass

from edge.window.codes import Vector
from lineside.errors import Unavailable


@dataclass(slots=True)
class Camera:
    """`row` of the bucket `sequence`, its `turned` vector (d,) float32 and its labels; no such bucket before a frame.

    `lock` is held while a frame of this camera is added.
    """

    lock: threading.Lock
    sequence: int = 0
    row: int = 0
    turned: Vector | None = None
    labels: tuple[str, ...] = ()

    def shows(self, turned: Vector, labels: tuple[str, ...], cosine: float) -> bool:
        """Whether it showed the same labels, and a vector at least so near."""
        return self.turned is not None and self.labels == labels and float(self.turned @ turned) >= cosine


class Cameras:
    """At most so many at a time. Not thread-safe: the window's lock is held at every call."""

    def __init__(self, at_most: int) -> None:
        self._at_most = at_most
        self._by_name: dict[str, Camera] = {}

    def of(self, name: str, open_sequence: int | None) -> Camera:
        """The camera of a name. Where there are too many, those that added nothing to the open bucket are forgotten.

        Raises:
            Unavailable: there are too many still.
        """
        camera = self._by_name.get(name)
        if camera is None:
            if len(self._by_name) >= self._at_most:
                self._by_name = {n: c for n, c in self._by_name.items() if c.sequence == open_sequence}
            if len(self._by_name) >= self._at_most:
                raise Unavailable(f"over {self._at_most} cameras: raise max_cameras", 60)
            camera = self._by_name[name] = Camera(threading.Lock())
        return camera
