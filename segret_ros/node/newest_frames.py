"""One slot a camera: the newest frame waits, older ones are dropped and counted."""

from collections import Counter
import threading
from typing import Any


class NewestFrames:
    """
    Hands the newest frame of each camera from the executor to the worker, camera by camera.

    :param cameras: their names; they are served in turns.
    """

    def __init__(self, cameras: list[str]) -> None:
        self._turns = list(cameras)
        self._waiting: dict[str, Any] = {}
        self._changed = threading.Condition()
        self._closed = False
        self.dropped: Counter[str] = Counter()

    def put(self, camera: str, frame: Any) -> None:
        """Let a frame wait in place of an older one of its camera."""
        with self._changed:
            self.dropped[camera] += camera in self._waiting
            self._waiting[camera] = frame
            self._changed.notify()

    def take(self) -> tuple[str, Any] | None:
        """Give the next camera and its frame, waiting for one; None once closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._closed)
            if self._closed:
                return None
            camera = next(name for name in self._turns if name in self._waiting)
            self._turns.remove(camera)
            self._turns.append(camera)
            return camera, self._waiting.pop(camera)

    def close(self) -> None:
        """Let `take` return None from now on; what waits is forgotten."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
