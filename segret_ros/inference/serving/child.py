# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
A process that builds one engine, for another process that goes on meanwhile.

With the arguments MODEL DEVICE CACHE SPARE it prints a JSON object a line: `phase` is `building`,
`comparing`, `keeping`, and at the end `done`, with `unkept` telling why SPARE keeps the engine or
'', or `failed` with the `error`. It ends when its standard input does, whatever it is at, and
removes SPARE then.
"""

from functools import partial
import json
import os
from pathlib import Path
import shutil
import sys
import threading
from typing import TextIO

from segret_ros.inference.serving.cache import CacheError, EngineCache
from segret_ros.inference.serving.proven import build_proven_engine


def main() -> int:
    """Build; give the exit code."""
    model, device, *folders = sys.argv[1:]
    lines = os.fdopen(os.dup(sys.stdout.fileno()), 'w')
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # libraries may write what they like
    threading.Thread(target=_end_with_the_input, args=folders[1:], daemon=True).start()
    tell = partial(_tell, lines)
    caches = [EngineCache(Path(folder)) for folder in folders]
    try:
        tell('done', unkept=_build(model, device, *caches, tell))
    except (ValueError, OSError, CacheError) as error:
        tell('failed', error=str(error))
        return 1
    return 0


def _build(model: str, device: str, cache: EngineCache, spare: EngineCache,
           tell: partial[None]) -> str:
    """Build; give why the spare cache keeps it, or nothing."""
    try:
        build_proven_engine(model, device, None, cache, on_phase=tell)
    except CacheError as error:
        build_proven_engine(model, device, None, spare, on_phase=tell)
        return str(error)
    return ''


def _tell(lines: TextIO, phase: str, **facts: str) -> None:
    print(json.dumps({'phase': phase, **facts}), file=lines, flush=True)


def _end_with_the_input(spare: str) -> None:
    """End this process when the one that waits for it has ended, by whatever signal."""
    os.read(sys.stdin.fileno(), 1)
    shutil.rmtree(spare, ignore_errors=True)  # nobody else will
    os._exit(1)
