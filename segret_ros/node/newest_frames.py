# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""One slot a camera: the newest frame waits, older ones are dropped and counted."""

from collections import Counter
import threading
from typing import Any


class NewestFrames:
    """
    Hands the newest frame of each camera from the executor to the worker, camera by camera.

    Cameras are served by stride scheduling: of those that wait, the one is next that has had the
    least of its turns. Each gets one turn a round at least, so none waits for more than a round,
    and a camera that was silent has nothing saved up.

    :param turns: by camera, its turns a round, 1 or more.
    """

    def __init__(self, turns: dict[str, int]) -> None:
        self._strides = {camera: 1 / number for camera, number in turns.items()}
        self._due = dict.fromkeys(turns, 0.0)
        self._served = 0.0
        self._waiting: dict[str, Any] = {}
        self._changed = threading.Condition()
        self._closed = False
        self.dropped: Counter[str] = Counter()

    def put(self, camera: str, frame: Any) -> None:
        """Let a frame wait in place of an older one of its camera."""
        with self._changed:
            if camera in self._waiting:
                self.dropped[camera] += 1
            else:
                self._due[camera] = max(self._due[camera], self._served)
            self._waiting[camera] = frame
            self._changed.notify()

    def take(self) -> tuple[str, Any] | None:
        """Give the next camera and its frame, waiting for one; None once closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._closed)
            if self._closed:
                return None
            camera = min(self._waiting, key=self._due.__getitem__)
            self._served = self._due[camera]
            self._due[camera] += self._strides[camera]
            return camera, self._waiting.pop(camera)

    def close(self) -> None:
        """Let `take` return None from now on; what waits is forgotten."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
