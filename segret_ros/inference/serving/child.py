# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
A process that builds one engine, for another process that goes on meanwhile.

With the arguments MODEL SHA256 DEVICE CACHE SPARE it prints a JSON object a line: `phase` is one
of `validated.PHASES`, and at the end `done`, with `uncached` saying why SPARE holds the engine or
'', or `failed` with the `error`. It ends when its standard input does, whatever it is doing, and
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

from segret_ros.inference.model import Model
from segret_ros.inference.model_info import ModelError
from segret_ros.inference.serving.cache import CacheError, EngineCache
from segret_ros.inference.serving.validated import build_validated_engine


def main() -> int:
    """Build the engine; return the exit code."""
    path, sha256, device, *folders = sys.argv[1:]
    lines = os.fdopen(os.dup(sys.stdout.fileno()), 'w')
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # libraries may write what they like
    threading.Thread(target=_end_with_the_input, args=folders[1:], daemon=True).start()
    report = partial(_report, lines)
    caches = [EngineCache(Path(folder)) for folder in folders]
    try:
        report('done', uncached=_build(_same_model(path, sha256), device, *caches, report))
    except (ValueError, OSError, CacheError) as error:
        report('failed', error=str(error))
        return 1
    return 0


def _same_model(path: str, sha256: str) -> Model:
    """Load the model that the other process has, or refuse another in its place."""
    model = Model.load(path)
    if model.sha256 != sha256:
        raise ModelError(f'{path}: it was replaced since the node was configured; clean up and '
                         'configure to load the new one')
    return model


def _build(model: Model, device: str, cache: EngineCache, spare: EngineCache,
           report: partial[None]) -> str:
    """Build the engine; return why the spare cache holds it, or nothing."""
    try:
        build_validated_engine(model, device, None, cache, on_phase=report)
    except CacheError as error:
        build_validated_engine(model, device, None, spare, on_phase=report)
        return str(error)
    return ''


def _report(lines: TextIO, phase: str, **facts: str) -> None:
    print(json.dumps({'phase': phase, **facts}), file=lines, flush=True)


def _end_with_the_input(spare: str) -> None:
    """End this process when the one that waits for it has ended, by whatever signal."""
    os.read(sys.stdin.fileno(), 1)
    shutil.rmtree(spare, ignore_errors=True)  # nobody else will
    os._exit(1)
