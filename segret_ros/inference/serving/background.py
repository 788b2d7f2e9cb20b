# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
An engine that is built in another process, while this one goes on.

That process runs `main` with the arguments CHANNEL, the descriptor of a connection, and SPARE, a
folder. It receives the model, the device and the cache, and sends a dict for each phase: `phase`
is one of `build_validated_engine`, and at the end `done`, with `uncached` saying why SPARE holds
the engine or '', or `failed` with the `error`. It ends when the other process does, whatever it is
doing, and removes SPARE then.
"""

from contextlib import suppress
import logging
from multiprocessing.connection import Connection, Pipe
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time

from segret_ros.inference.model import Model
from segret_ros.inference.model_info import ModelError
from segret_ros.inference.serving.cache import CacheError, EngineCache
from segret_ros.inference.serving.validated import build_validated_engine

logger = logging.getLogger(__name__)

# Without the working directory, which `-m` and `-c` put before all else: any file may be there.
PROGRAM = ('import sys; sys.path = list(filter(None, sys.path)); '
           'from segret_ros.inference.serving.background import main; sys.exit(main())')
# Yields to all else on the machine: images are labelled meanwhile.
CHILD = ('nice', '-n', '19', sys.executable, '-c', PROGRAM)


class BackgroundBuild:
    """
    Builds, validates and caches the engine of a model on a device.

    Where the cache can't hold it, as in a read-only folder, the engine is there until `stop`.

    :param device: one of `DEVICES`, not `auto`.
    :param cache: to hold it.
    :raises ModelError: where no process can be started.
    """

    def __init__(self, model: Model, device: str, cache: EngineCache) -> None:
        self.device = device
        self.phase = 'starting'
        self.error = ''  # why there is no engine
        self.uncached = ''  # why the cache does not hold it
        self._cache = cache
        self._started = time.monotonic()
        self._ended = threading.Event()
        try:
            self._spare = tempfile.TemporaryDirectory(prefix='segret_engine.',
                                                      ignore_cleanup_errors=True)
            self._channel, child_end = Pipe()
            with child_end:
                self._process = subprocess.Popen(
                    [*CHILD, str(child_end.fileno()), self._spare.name],
                    pass_fds=[child_end.fileno()], stdin=subprocess.DEVNULL,
                    start_new_session=True)  # Ctrl-C is for the node, which ends it
        except OSError as error:
            raise ModelError(f'{model.path}: no process can be started to build its engine for '
                             f'{device}: {error}') from error
        self._thread = threading.Thread(target=self._follow, args=((model, device, cache),),
                                        name='segret_build', daemon=True)
        self._thread.start()

    def __str__(self) -> str:
        elapsed_s = time.monotonic() - self._started
        return f'{self.device}: {self.phase} for {elapsed_s:.0f} s'

    @property
    def cache(self) -> EngineCache:
        """Return the cache that holds the engine, once the build has ended without `error`."""
        return EngineCache(self._spare.name) if self.uncached else self._cache

    def wait(self, seconds: float | None) -> bool:
        """Wait for the build to end, no longer than that; return whether it has ended."""
        return self._ended.wait(seconds)

    def stop(self) -> None:
        """Abandon a build in progress, and an engine that the cache does not hold."""
        self._process.kill()
        self._thread.join()
        self._spare.cleanup()

    def _follow(self, job: tuple[Model, str, EngineCache]) -> None:
        with self._channel, suppress(EOFError, OSError):  # of a process that has ended
            self._channel.send(job)
            while True:
                report = self._channel.recv()
                self.error, self.uncached = report.get('error', ''), report.get('uncached', '')
                self.phase = report['phase']
        code = self._process.wait()
        if self.uncached:
            logger.warning('%s; the engine is built at each start', self.uncached)
        else:  # now, for who is killed calls no `stop`
            self._spare.cleanup()
        if self.phase != 'done' and not self.error:
            self.error = f'the process that built it ended with {code}'
        self._ended.set()


def main() -> int:
    """Build the engine; return the exit code."""
    channel, spare = Connection(int(sys.argv[1])), sys.argv[2]
    model, device, cache = channel.recv()
    threading.Thread(target=_end_with_the_other, args=(channel, spare), daemon=True).start()

    def report(phase: str, **facts: str) -> None:
        channel.send({'phase': phase, **facts})

    try:
        uncached = ''
        try:
            build_validated_engine(model, device, None, cache, on_phase=report)
        except CacheError as error:
            uncached = str(error)
            build_validated_engine(model, device, None, EngineCache(spare), on_phase=report)
        report('done', uncached=uncached)
    except (ValueError, OSError, CacheError) as error:
        report('failed', error=str(error))
        return 1
    return 0


def _end_with_the_other(channel: Connection, spare: str) -> None:
    """End this process when the one that waits for it has ended, by whatever signal."""
    os.read(channel.fileno(), 1)
    shutil.rmtree(spare, ignore_errors=True)  # nobody else will
    os._exit(1)
