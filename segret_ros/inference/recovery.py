"""A segmenter that gets over failures of its engine."""

from collections.abc import Callable
import hashlib
import logging
from pathlib import Path
import time

import numpy as np
from segret_ros.inference.engine import devices_of_auto
from segret_ros.inference.model_info import ModelError
from segret_ros.inference.segmenter import Segmentation, Segmenter

logger = logging.getLogger(__name__)

FAILURES_IN_A_ROW = 3  # of the engine, after which it is opened anew
FIRST_PAUSE_S = 1.0  # before that; doubled each time
LONGEST_PAUSE_S = 30.0


class EngineError(RuntimeError):
    """The engine could not label an image; the text says what happens next."""


class RecoveringSegmenter:
    """
    A `Segmenter` whose engine is opened anew after failures.

    After `FAILURES_IN_A_ROW` it is closed and images are refused for a pause. Then it is opened
    again, on the next device for `auto`, on the same for any other, and an image that is labelled
    ends the story. The file must stay the one that was opened first: what its labels mean has been
    told. To be called from one thread; `state` and `failures` may be read from any.

    :param model: path of a model file.
    :param device: see `Segmenter`.
    :raises ModelError: for a file that is missing, damaged or does not explain itself.
    :raises DeviceError: for a device asked for by name that is missing.
    """

    def __init__(self, model: str | Path, device: str) -> None:
        self._model, self._asked_for = model, device
        self._segmenter: Segmenter | None = Segmenter(model, device)
        self.model_hash = model_hash(model)
        self.info = self._segmenter.info
        self.model_name = self._segmenter.model_name
        self.device, self.engine = self._segmenter.device, self._segmenter.engine
        self.failures = 0  # in all
        self.reopened = 0  # times
        self.state = 'working'
        self._failures_in_a_row = 0
        self._pause_s = FIRST_PAUSE_S
        self._open_at = 0.0
        self._segmenter.warm_up()

    def __call__(self, image_rgb: np.ndarray, min_confidence: float,
                 on_label: Callable[[np.ndarray], None]) -> Segmentation:
        """
        Give the labels of an image; see `Segmenter`.

        :raises EngineError: when the engine fails or is not open.
        """
        if self._segmenter is None:
            self._reopen()
        try:
            result = self._segmenter(image_rgb, min_confidence, on_label)
        except Exception as error:  # engines have many types for what their libraries throw
            self._note_failure(error)
            raise EngineError(f'{first_line(error)}; {self.state}') from error
        if self.state != 'working':
            logger.warning('engine %s on %s works again', self.engine, self.device)
        self.state, self._failures_in_a_row, self._pause_s = 'working', 0, FIRST_PAUSE_S
        return result

    def _note_failure(self, error: Exception) -> None:
        self.failures += 1
        self._failures_in_a_row += 1
        self.state = (f'failing: {self._failures_in_a_row} of {FAILURES_IN_A_ROW} failures in a '
                      'row, after which the engine is opened anew')
        if self._failures_in_a_row >= FAILURES_IN_A_ROW:
            self._segmenter = None
            self._pause(self._next_device())
            logger.warning('engine failed %d times in a row (%s); %s', self._failures_in_a_row,
                           first_line(error), self.state)

    def _pause(self, device: str) -> None:
        self.device = device
        self._open_at = time.monotonic() + self._pause_s
        self.state = f'closed: opened anew on {device} after a pause of {self._pause_s:g} s'
        self._pause_s = min(2 * self._pause_s, LONGEST_PAUSE_S)

    def _reopen(self) -> None:
        if time.monotonic() < self._open_at:
            raise EngineError(self.state)
        try:
            if model_hash(self._model) != self.model_hash:
                raise ModelError(f'{self._model}: it was replaced since the node was configured; '
                                 'clean up and configure to load the new one')
            self._segmenter = Segmenter(self._model, self.device)
        except Exception as error:  # a device may be gone, the file replaced by a broken one
            self._pause(self._next_device())
            raise EngineError(f"the engine can't be opened: {first_line(error)}; {self.state}"
                              ) from error
        self.engine = self._segmenter.engine
        self.reopened += 1
        # One more failure is enough to close it again.
        self._failures_in_a_row = FAILURES_IN_A_ROW - 1
        self.state = f'opened anew on {self.device}: not proven yet'
        logger.warning('engine %s', self.state)

    def _next_device(self) -> str:
        if self._asked_for != 'auto':
            return self.device
        devices = devices_of_auto()
        position = devices.index(self.device) if self.device in devices else -1
        return devices[(position + 1) % len(devices)]


def model_hash(path: str | Path) -> str:
    """Give the first 12 hexadecimal digits of a file's SHA-256."""
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()[:12]


def first_line(error: Exception) -> str:
    """Give an error's first line, or its type where it has no text."""
    return next(iter(str(error).splitlines()), '') or type(error).__name__
