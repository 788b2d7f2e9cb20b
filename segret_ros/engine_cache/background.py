"""An engine that is built in another process, while this one goes on."""

import json
from pathlib import Path
import subprocess
import sys
import threading
import time

# Gives way to all else on the machine: images are labelled meanwhile.
CHILD = ('nice', '-n', '19', sys.executable, '-m', 'segret_ros.engine_cache.child')
ENDS = ('done', 'unkept', 'failed')
SHUTDOWN_S = 5.0


class BackgroundBuild:
    """
    Builds, compares and keeps the engine of a model file on a device.

    :param path: of a sound model file.
    :param device: one of `DEVICES`, not `auto`.
    :param cache_folder: of the `EngineCache` that keeps it.
    """

    def __init__(self, path: str | Path, device: str, cache_folder: Path) -> None:
        self.device = device
        self.phase = 'starting'
        self.error = ''  # why there is no engine
        self._started = time.monotonic()
        self._ended = threading.Event()
        self._process = subprocess.Popen(
            [*CHILD, str(path), device, str(cache_folder)], stdout=subprocess.PIPE,
            stdin=subprocess.DEVNULL, text=True,
            start_new_session=True)  # Ctrl-C is for the node, which ends it
        self._thread = threading.Thread(target=self._follow, name='segret_build', daemon=True)
        self._thread.start()

    def __str__(self) -> str:
        elapsed_s = time.monotonic() - self._started
        return f'{self.device}: {self.phase} for {elapsed_s:.0f} s'

    def wait(self, seconds: float | None) -> bool:
        """Tell whether the build has ended, waiting no longer than that; None: until it has."""
        return self._ended.wait(seconds)

    def stop(self) -> None:
        """Give up a build that goes on; nothing of it is kept."""
        self._process.terminate()
        self._thread.join(SHUTDOWN_S)

    def _follow(self) -> None:
        for line in self._process.stdout:
            self._note(line)
        code = self._process.wait()
        if self.phase not in ENDS and not self.error:
            self.error = f'the process that built it ended with {code}'
        self._ended.set()

    def _note(self, line: str) -> None:
        try:
            told = json.loads(line)
            self.phase, self.error = told['phase'], told.get('error', '')
        except (ValueError, KeyError):
            return  # a library of the child's that writes to the standard output
