# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
An engine that is built in another process, while this one goes on.

That process runs `main` with the arguments MODEL SHA256 DEVICE CACHE SPARE. It prints a JSON
object a line: `phase` is one of `build_validated_engine`, and at the end `done`, with `uncached`
saying why SPARE holds the engine or '', or `failed` with the `error`. It ends when its standard
input does, whatever it is doing, and removes SPARE then.
"""

import json
import logging
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
            self._process = subprocess.Popen(
                [*CHILD, str(model.path), model.sha256, device, str(cache.folder),
                 self._spare.name],
                stdin=subprocess.PIPE,  # its end tells the child that nobody waits any more
                stdout=subprocess.PIPE, text=True, errors='replace',
                start_new_session=True)  # Ctrl-C is for the node, which ends it
        except OSError as error:
            raise ModelError(f'{model.path}: no process can be started to build its engine for '
                             f'{device}: {error}') from error
        self._thread = threading.Thread(target=self._follow, name='segret_build', daemon=True)
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

    def _follow(self) -> None:
        assert self._process.stdout is not None
        try:
            for line in self._process.stdout:
                self._note(line)
        finally:
            code = self._process.wait()
            if self.uncached:
                logger.warning('%s; the engine is built at each start', self.uncached)
            else:  # now, for who is killed calls no `stop`
                self._spare.cleanup()
            if self.phase != 'done' and not self.error:
                self.error = f'the process that built it ended with {code}'
            self._ended.set()

    def _note(self, line: str) -> None:
        try:
            report = json.loads(line)
            self.phase = report['phase']
        except (ValueError, KeyError, TypeError, RecursionError):
            return  # written by something else, before the child's own lines
        self.error = report.get('error', '')
        self.uncached = report.get('uncached', '')


def main() -> int:
    """Build the engine; return the exit code."""
    path, sha256, device, cache_folder, spare_folder = sys.argv[1:]
    lines = os.fdopen(os.dup(sys.stdout.fileno()), 'w')
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # libraries may write what they like
    threading.Thread(target=_end_with_the_input, args=(spare_folder,), daemon=True).start()

    def report(phase: str, **facts: str) -> None:
        print(json.dumps({'phase': phase, **facts}), file=lines, flush=True)

    try:
        model = Model.load(path)
        if model.sha256 != sha256:
            raise ModelError(f'{path}: it was replaced since the node was configured; clean up '
                             'and configure to load the new one')
        uncached = ''
        try:
            build_validated_engine(model, device, None, EngineCache(cache_folder), on_phase=report)
        except CacheError as error:
            uncached = str(error)
            build_validated_engine(model, device, None, EngineCache(spare_folder), on_phase=report)
        report('done', uncached=uncached)
    except (ValueError, OSError, CacheError) as error:
        report('failed', error=str(error))
        return 1
    return 0


def _end_with_the_input(spare: str) -> None:
    """End this process when the one that waits for it has ended, by whatever signal."""
    os.read(sys.stdin.fileno(), 1)
    shutil.rmtree(spare, ignore_errors=True)  # nobody else will
    os._exit(1)
