# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""The engine of a node, kept running: recovery, fallback and hot swap."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from functools import partial
import logging
import threading
import time
from typing import TypeVar

import numpy as np
from segret_ros.errors import reason
from segret_ros.inference.camera_image import CameraImage
from segret_ros.inference.engines.device import DeviceError
from segret_ros.inference.engines.devices import devices_of_auto
from segret_ros.inference.engines.engine import Engine, first_that_succeeds, needs_building
from segret_ros.inference.engines.prediction import Prediction
from segret_ros.inference.model import Model
from segret_ros.inference.model_info import ModelError
from segret_ros.inference.serving.background import BackgroundBuild
from segret_ros.inference.serving.cache import EngineCache
from segret_ros.inference.serving.key import key_of
from segret_ros.inference.serving.validated import open_cached_engine, open_validated_engine

logger = logging.getLogger(__name__)

PATIENCE_S = 5.0  # how long a build is waited for before a fallback engine is used
FAILURES_IN_A_ROW = 3  # of the engine, after which it is reopened
FIRST_PAUSE_S = 1.0  # before that; doubled each time
LONGEST_PAUSE_S = 30.0

Result = TypeVar('Result')


class EngineError(RuntimeError):
    """The engine could not run an image; the text says what happens next."""


class Health(Enum):
    """How well an engine does."""

    WORKING = 'working'
    FAILING = 'failing'
    REOPENED = 'reopened'  # and has not run an image since
    CLOSED = 'closed'


@dataclass(frozen=True)
class EngineStatus:
    """
    An engine in service.

    :param name: see `Engine.name`; while it is closed, of the last one.
    :param device: where it runs, or will be reopened.
    :param state: its health in a sentence.
    :param failures: since the start.
    :param reopened: times since the start.
    :param build_progress: the device that an engine is being built for and how far it is, or
        empty.
    :param build_problem: why the engine that was asked for is not in use, or empty.
    """

    name: str
    device: str
    health: Health
    state: str
    failures: int
    reopened: int
    build_progress: str
    build_problem: str


class Supervisor:
    """
    Has a validated engine, and is an `Engine` itself that outlives those it has.

    A cached engine is used at once. One that has to be built is built in another process. After
    `PATIENCE_S` a fallback engine, which needs no build step, is used meanwhile, on the same GPU
    if there is one; the node switches to the built one between two images, once that has passed
    the parity check. Where the build or the check fails, the fallback stays.

    After `FAILURES_IN_A_ROW` an engine is closed and images are refused for a pause. Then it is
    reopened, on the next device for `auto`, on the same for any other, and the first success
    resets the failure count. One that was switched to and never ran an image gives way to the
    device before.

    Images come from one thread; `status` may be read from any.

    :param device: one of `DEVICES`.
    :param allow_unproven: use an engine that fails the parity check too.
    :param cache: of engines; the user's if left out.
    :raises ModelError: for a model that the engine can't load, or an engine that fails the parity
        check.
    :raises DeviceError: for a device asked for by name that is missing.
    """

    def __init__(self, model: Model, device: str, allow_unproven: bool = False,
                 cache: EngineCache | None = None) -> None:
        self._model, self._asked_for = model, device
        self._cache = cache or EngineCache()
        self._open_validated = partial(open_validated_engine, model, cache=self._cache,
                                       allow_unproven=allow_unproven)
        self._open_cached = partial(open_cached_engine, model, allow_unproven=allow_unproven)
        self._build: BackgroundBuild | None = None
        self._swap: threading.Thread | None = None
        self._is_shut_down = False
        self._build_problem = ''
        self._engine: Engine | None = None
        self._built: Engine | None = None  # to switch to before the next image
        self._device_before = ''  # the switch, until an image has run after it
        self._failures = self._reopened = 0
        self._reopen_at = 0.0
        self._note_success()
        try:
            self._use(self._open(device))
        except BaseException:
            self.close()
            raise

    @property
    def status(self) -> EngineStatus:
        """Return how the engine does now."""
        build = self._build
        progress = str(build) if build is not None and not build.wait(0) else ''
        return EngineStatus(self.name, self.device, self._health, self._state, self._failures,
                            self._reopened, progress, self._build_problem)

    def run(self, image_rgb: np.ndarray) -> np.ndarray:
        """
        Compute the logits of an image; see `Engine.run`.

        :raises EngineError: when the engine fails or is closed.
        """
        return self._attempt(lambda engine: engine.run(image_rgb))

    def predict(self, image: CameraImage, temperature: float | None) -> Prediction:
        """
        Predict the labels of an image; see `Engine.predict`.

        :raises EngineError: when the engine fails or is closed.
        """
        return self._attempt(lambda engine: engine.predict(image, temperature))

    def close(self) -> None:
        """Abandon a build in progress, and wait for an engine that is being loaded."""
        self._is_shut_down = True
        if self._build is not None:
            self._build.stop()
        if self._swap is not None:
            self._swap.join()  # a library's thread may not end with the process

    def _use(self, engine: Engine) -> None:
        self._engine = engine
        self.name, self.device, self.precision = engine.name, engine.device, engine.precision

    def _attempt(self, work: Callable[[Engine], Result]) -> Result:
        engine = self._current()
        try:
            result = work(engine)
        except Exception as error:  # engines have many types for what their libraries throw
            self._note_failure(error)
            raise EngineError(f'{reason(error)}; {self._state}') from error
        if self._health is not Health.WORKING:
            logger.warning('engine %s on %s works again', self.name, self.device)
        self._note_success()
        self._device_before = ''
        return result

    def _current(self) -> Engine:
        """Return the engine for the next image: one just built, or one reopened."""
        if self._built is not None:
            self._device_before = self.device
            self._use(self._built)
            self._built = None
            self._note_success()
            logger.info('switched to the engine %s on %s', self.name, self.device)
        elif self._engine is None:
            self._reopen()
        assert self._engine is not None
        return self._engine

    def _note_success(self) -> None:
        self._health, self._state = Health.WORKING, 'working'
        self._failures_in_a_row, self._pause_s = 0, FIRST_PAUSE_S

    def _note_failure(self, error: Exception) -> None:
        self._failures += 1
        self._failures_in_a_row += 1
        self._health = Health.FAILING
        self._state = (f'failing: {self._failures_in_a_row} of {FAILURES_IN_A_ROW} failures in a '
                       'row, after which the engine is reopened')
        if self._failures_in_a_row >= FAILURES_IN_A_ROW:
            self._close_for_a_pause()
            logger.warning('engine failed %d times in a row (%s); %s', self._failures_in_a_row,
                           reason(error), self._state)

    def _close_for_a_pause(self) -> None:
        self._engine = None
        self.device = self._next_device()
        self._reopen_at = time.monotonic() + self._pause_s
        self._health = Health.CLOSED
        self._state = f'closed: reopened on {self.device} after a pause of {self._pause_s:g} s'
        self._pause_s = min(2 * self._pause_s, LONGEST_PAUSE_S)

    def _reopen(self) -> None:
        if time.monotonic() < self._reopen_at:
            raise EngineError(self._state)
        try:
            self._use(self._open(self.device))
        except Exception as error:  # a device may be gone
            self._close_for_a_pause()
            raise EngineError(f"the engine can't be opened: {reason(error)}; {self._state}"
                              ) from error
        self._reopened += 1
        # One more failure is enough to close it again.
        self._failures_in_a_row = FAILURES_IN_A_ROW - 1
        self._health = Health.REOPENED
        self._state = f'reopened on {self.device}: has not run an image yet'
        logger.warning('engine %s', self._state)

    def _next_device(self) -> str:
        if self._device_before:
            return self._device_before
        if self._asked_for != 'auto':
            return self.device
        devices = devices_of_auto()
        position = devices.index(self.device) if self.device in devices else -1
        return devices[(position + 1) % len(devices)]

    def _open(self, device: str) -> Engine:
        return first_that_succeeds(
            device, self._open_or_build,
            lambda name: self._cache.find(key_of(self._model, name)) is not None)

    def _open_or_build(self, device: str) -> Engine:
        if not needs_building(device):
            return self._open_validated(device)
        cached = self._open_cached(device, cache=self._cache)
        if cached is not None:
            return cached
        if self._build is None or self._build.wait(0) and not self._build.uncached:
            self._build = BackgroundBuild(self._model, device, self._cache)
        if self._build.wait(PATIENCE_S):
            return self._open_built(self._build)
        logger.warning('the engine for %s takes long to build: a fallback engine runs until then',
                       device)
        if self._swap is None or not self._swap.is_alive():
            self._swap = threading.Thread(target=self._switch_when_built, args=(self._build,),
                                          name='segret_swap', daemon=True)
            self._swap.start()
        return self._open_fallback(device)

    def _open_built(self, build: BackgroundBuild) -> Engine:
        """Open the engine of a build that has ended."""
        if build.error:
            raise ModelError(f'{self._model.path}: no engine could be built for {build.device}: '
                             f'{build.error}')
        engine = self._open_cached(build.device, cache=build.cache)
        if engine is None:
            raise ModelError(f'{self._model.path}: the engine that was built for {build.device} '
                             f'is no longer in {build.cache.folder}, or has changed')
        return engine

    def _open_fallback(self, device: str) -> Engine:
        """Open an engine without a build step, on the same GPU if it can be used."""
        name, _, number = device.partition(':')
        if name == 'tensorrt':
            try:
                return self._open_validated(f'cuda:{number or 0}')
            except (DeviceError, ModelError) as error:
                logger.warning('%s; falling back to the CPU', error)
        return self._open_validated('cpu')

    def _switch_when_built(self, build: BackgroundBuild) -> None:
        build.wait(None)
        if self._is_shut_down:
            return
        try:
            engine, info = self._open_built(build), self._model.info
            # An engine's first image is slower.
            engine.predict(CameraImage(np.zeros((*info.input_size, 3), np.uint8)),
                           info.temperature)
        except Exception as error:  # whatever fails, the fallback engine goes on
            self._build_problem = f'the engine for {build.device} is not used: {reason(error)}'
            logger.error('%s', self._build_problem)
            return
        self._built = engine
