# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""One slot per camera: the newest frame waits, an older one is dropped."""

import threading
from typing import Generic, TypeVar

Frame = TypeVar('Frame')


class NewestFrames(Generic[Frame]):
    """
    Hands the newest frame of each camera from the executor to the worker, camera by camera.

    Cameras are served by stride scheduling: of those that wait, the one that has used the least
    of its share is next. Each gets at least one turn a round, so none waits longer than a round,
    and a silent camera saves up nothing.

    :param turns: of each camera in a round, 1 or more.
    """

    def __init__(self, turns: dict[str, int]) -> None:
        self._strides = {camera: 1 / number for camera, number in turns.items()}
        self._due = dict.fromkeys(turns, 0.0)
        self._served = 0.0
        self._waiting: dict[str, Frame] = {}
        self._changed = threading.Condition()
        self._closed = False

    def put(self, camera: str, frame: Frame) -> bool:
        """Let a frame wait for its turn; return whether an older one of its camera is dropped."""
        with self._changed:
            dropped = camera in self._waiting
            if not dropped:
                self._due[camera] = max(self._due[camera], self._served)
            self._waiting[camera] = frame
            self._changed.notify()
            return dropped

    def take(self) -> Frame | None:
        """Wait for the next frame and return it; None once closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._closed)
            if self._closed:
                return None
            camera = min(self._waiting, key=self._due.__getitem__)
            self._served = self._due[camera]
            self._due[camera] += self._strides[camera]
            return self._waiting.pop(camera)

    def close(self) -> None:
        """Discard what waits; `take` returns None from now on."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
