# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""An engine that gets over its failures."""

from collections.abc import Callable
import logging
from pathlib import Path
import time
from typing import TypeVar

import numpy as np
from segret_ros.inference.engines.devices import devices_of_auto
from segret_ros.inference.engines.engine import Engine, open_engine
from segret_ros.inference.model_file import model_hash
from segret_ros.inference.model_info import ModelError
from segret_ros.reason import reason

logger = logging.getLogger(__name__)

FAILURES_IN_A_ROW = 3  # of the engine, after which it is opened anew
FIRST_PAUSE_S = 1.0  # before that; doubled each time
LONGEST_PAUSE_S = 30.0

Result = TypeVar('Result')


class EngineError(RuntimeError):
    """The engine could not run an image; the text says what happens next."""


class RecoveringEngine:
    """
    An `Engine` that is opened anew after failures.

    After `FAILURES_IN_A_ROW` it is closed and images are refused for a pause. Then it is opened
    again, on the next device for `auto`, on the same for any other, and an image that it runs ends
    the story. One that was offered and never ran an image gives way to the device before. The file
    must stay the one that was opened first: what its labels mean has been told. To be run from one
    thread; `offer` may be called, and `state` and the counts be read, from any.

    :param path: of a sound model file.
    :param device: one of `DEVICES`.
    :raises ModelError: for a file that the engine can't load.
    :raises DeviceError: for a device asked for by name that is missing.
    """

    def __init__(self, path: str | Path, device: str) -> None:
        self._path, self._asked_for = path, device
        self.model_hash = model_hash(path)
        self._offered: Engine | None = None
        self._engine: Engine | None = None
        self._device_before = ''  # an offered engine took over from, until that has run an image
        self._use(self._same(lambda: self._open(device)))
        self.failures = 0  # in all
        self.reopened = 0  # times
        self._note_success()
        self._open_at = 0.0

    def run(self, image_rgb: np.ndarray) -> np.ndarray:
        """
        Give the logits of an image; see `Engine`.

        :raises EngineError: when the engine fails or is not open.
        """
        return self._attempt(lambda engine: engine.run(image_rgb))

    def label(self, image_rgb: np.ndarray, size: tuple[int, int],
              temperature: float | None) -> tuple[np.ndarray, np.ndarray | None]:
        """
        Give the labels of an image; see `Engine`.

        :raises EngineError: when the engine fails or is not open.
        """
        return self._attempt(lambda engine: engine.label(image_rgb, size, temperature))

    def offer(self, engine: Engine) -> None:
        """Let another engine of the same file take over at the next `prepare`."""
        self._offered = engine

    def prepare(self) -> None:
        """
        Go on with the engine that was offered, or open a closed one anew; between two images.

        :raises EngineError: while the engine stays closed.
        """
        if self._offered is not None:
            self._device_before = self.device
            self._use(self._offered)
            self._offered = None
            self._note_success()
            logger.info('engine %s on %s takes over', self.name, self.device)
        elif self._engine is None:
            self._reopen()

    def _open(self, device: str) -> Engine:
        return open_engine(self._path, device)

    def _same(self, open_it: Callable[[], Engine]) -> Engine:
        """Open an engine of the file that was opened first; a `ModelError` for another file."""
        self._refuse_another_file()
        engine = open_it()
        self._refuse_another_file()  # it may have been replaced meanwhile
        return engine

    def _refuse_another_file(self) -> None:
        if model_hash(self._path) != self.model_hash:
            raise ModelError(f'{self._path}: it was replaced since the node was configured; '
                             'clean up and configure to load the new one')

    def _use(self, engine: Engine) -> None:
        self._engine = engine
        self.name, self.device, self.precision = engine.name, engine.device, engine.precision
        self.labels_on_device = engine.labels_on_device

    def _attempt(self, work: Callable[[Engine], Result]) -> Result:
        if self._engine is None:
            self.prepare()
        try:
            result = work(self._engine)
        except Exception as error:  # engines have many types for what their libraries throw
            self._note_failure(error)
            raise EngineError(f'{reason(error)}; {self.state}') from error
        if self.state != 'working':
            logger.warning('engine %s on %s works again', self.name, self.device)
        self._note_success()
        self._device_before = ''
        return result

    def _note_success(self) -> None:
        self.state, self._failures_in_a_row, self._pause_s = 'working', 0, FIRST_PAUSE_S

    def _note_failure(self, error: Exception) -> None:
        self.failures += 1
        self._failures_in_a_row += 1
        self.state = (f'failing: {self._failures_in_a_row} of {FAILURES_IN_A_ROW} failures in a '
                      'row, after which the engine is opened anew')
        if self._failures_in_a_row >= FAILURES_IN_A_ROW:
            self._engine = None
            self._pause(self._next_device())
            logger.warning('engine failed %d times in a row (%s); %s', self._failures_in_a_row,
                           reason(error), self.state)

    def _pause(self, device: str) -> None:
        self.device = device
        self._open_at = time.monotonic() + self._pause_s
        self.state = f'closed: opened anew on {device} after a pause of {self._pause_s:g} s'
        self._pause_s = min(2 * self._pause_s, LONGEST_PAUSE_S)

    def _reopen(self) -> None:
        if time.monotonic() < self._open_at:
            raise EngineError(self.state)
        try:
            self._use(self._same(lambda: self._open(self.device)))
        except Exception as error:  # a device may be gone, the file replaced by a broken one
            self._pause(self._next_device())
            raise EngineError(f"the engine can't be opened: {reason(error)}; {self.state}"
                              ) from error
        self.reopened += 1
        # One more failure is enough to close it again.
        self._failures_in_a_row = FAILURES_IN_A_ROW - 1
        self.state = f'opened anew on {self.device}: not proven yet'
        logger.warning('engine %s', self.state)

    def _next_device(self) -> str:
        if self._device_before:
            return self._device_before
        if self._asked_for != 'auto':
            return self.device
        devices = devices_of_auto()
        position = devices.index(self.device) if self.device in devices else -1
        return devices[(position + 1) % len(devices)]
