# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""The engine of the node: it serves at once, and better as soon as a better engine is built."""

from functools import cached_property
import logging
from pathlib import Path
import threading

import numpy as np
from segret_ros.inference import (
    DeviceError,
    ModelError,
    ModelInfo,
    read_model_info,
    RecoveringEngine,
)
from segret_ros.inference.engines.engine import Engine, first_of, needs_building
from segret_ros.inference.serving.background import BackgroundBuild
from segret_ros.inference.serving.cache import EngineCache
from segret_ros.inference.serving.proven import open_kept_engine, open_proven_engine
from segret_ros.reason import reason

logger = logging.getLogger(__name__)

PATIENCE_S = 5.0  # how long a build is waited for before another engine serves


class ServingEngine(RecoveringEngine):
    """
    A `RecoveringEngine` of proven engines, which does not wait for a long build.

    An engine of the cache is used at once. One that has to be built is built in another process.
    After `PATIENCE_S` one that needs no building serves instead, on the same GPU if there is one,
    and the built one is offered when it has passed the gate. Where the build or the gate fails,
    the other goes on to serve.

    :param path: of a sound model file.
    :param device: one of `DEVICES`.
    :param allow_unproven: use an engine that has not passed the gate too.
    :param cache: of engines; the user's if left out.
    :raises ModelError: for a file that the engine can't load, or an engine that fails the gate.
    :raises DeviceError: for a device asked for by name that is missing.
    """

    def __init__(self, path: str | Path, device: str, allow_unproven: bool = False,
                 cache: EngineCache | None = None) -> None:
        self._allow_unproven = allow_unproven
        self._cache = cache or EngineCache()
        self._build: BackgroundBuild | None = None
        self._swap: threading.Thread | None = None
        self._closed = False
        self.build_problem = ''  # why the engine that was asked for does not serve
        try:
            super().__init__(path, device)
        except BaseException:
            self.close()
            raise

    @cached_property
    def _info(self) -> ModelInfo:
        return read_model_info(self._path)

    @property
    def build_progress(self) -> str:
        """Give the device that an engine is being built for and how far it is, or nothing."""
        build = self._build
        return str(build) if build is not None and not build.wait(0) else ''

    def close(self) -> None:
        """Give up a build that goes on, and wait for an engine that is being loaded."""
        self._closed = True
        if self._build is not None:
            self._build.stop()
        if self._swap is not None:
            self._swap.join()  # a library's thread may not end with the process

    def _open(self, device: str) -> Engine:
        return first_of(device, self._open_or_build)

    def _open_or_build(self, device: str) -> Engine:
        if not needs_building(device):
            return self._open_proven(device)
        kept = self._open_kept(device, self._cache)
        if kept is not None:
            return kept
        if self._build is None or self._build.wait(0) and not self._build.unkept:
            self._build = BackgroundBuild(self._path, device, self._cache)
        if self._build.wait(PATIENCE_S):
            return self._open_built(self._build)
        logger.warning('the engine for %s takes long to build: another serves until then', device)
        if self._swap is None or not self._swap.is_alive():
            self._swap = threading.Thread(target=self._offer_when_built, args=(self._build,),
                                          name='segret_swap', daemon=True)
            self._swap.start()
        return self._open_ready(device)

    def _open_proven(self, device: str) -> Engine:
        return open_proven_engine(self._path, device, cache=self._cache,
                                  allow_unproven=self._allow_unproven)

    def _open_kept(self, device: str, cache: EngineCache) -> Engine | None:
        return open_kept_engine(self._path, self._info, device, cache,
                                allow_unproven=self._allow_unproven)

    def _open_built(self, build: BackgroundBuild) -> Engine:
        """Give the engine of a build that has ended."""
        if build.error:
            raise ModelError(f'{self._path}: no engine could be built for {build.device}: '
                             f'{build.error}')
        engine = self._open_kept(build.device, build.cache)
        if engine is None:
            raise ModelError(f'{self._path}: the engine that was built for {build.device} is not '
                             f'in {build.cache.folder} any more, or not as it was built')
        return engine

    def _open_ready(self, device: str) -> Engine:
        """Give an engine that needs no building, on the same GPU if it can be used."""
        name, _, number = device.partition(':')
        if name == 'tensorrt':
            try:
                return self._open_proven(f'cuda:{number or 0}')
            except (DeviceError, ModelError) as error:
                logger.warning('%s; falling back to the CPU', error)
        return self._open_proven('cpu')

    def _offer_when_built(self, build: BackgroundBuild) -> None:
        build.wait(None)
        if self._closed:
            return
        try:
            engine = self._same(lambda: self._open_built(build))
            self._run_once(engine)
        except Exception as error:  # whatever fails, the other engine goes on
            self.build_problem = f'the engine for {build.device} is not used: {reason(error)}'
            logger.error('%s', self.build_problem)
            return
        self.offer(engine)

    def _run_once(self, engine: Engine) -> None:
        """Run a black image, for an engine's first is slower."""
        size = self._info.input_size
        black = np.zeros((*size, 3), np.uint8)
        if engine.labels_on_device:
            engine.label(black, size, self._info.temperature)
        else:
            engine.run(black)
