"""The rolling window of the latest frames of each camera (docs/adr/0011-rolling-window.md)."""

from edge.window.frames import Collapsed, FrameIn, Kept, WindowFrame, WindowStatus
from edge.window.rolling import RollingWindow, window_key
from edge.window.searched import WindowedSearch
from edge.window.settings import WindowSettings

__all__ = [
    "Collapsed",
    "FrameIn",
    "Kept",
    "RollingWindow",
    "WindowFrame",
    "WindowSettings",
    "WindowStatus",
    "WindowedSearch",
    "window_key",
]
