# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
Libraries that report their use to their makers, kept from it unless the user has asked for it.

ONNX Runtime and OpenVINO do so as soon as they are imported, Ray when it is started: they write
an identifier of the machine and events into the home folder, look up a host and send them.
"""

from collections.abc import Iterator
from contextlib import contextmanager
import os
from pathlib import Path
import sys

# Read when ONNX Runtime is imported, and by the processes that Ray starts.
VARIABLES = {'ORT_DISABLE_TELEMETRY': '1', 'RAY_USAGE_STATS_ENABLED': '0'}
OPENVINO = 'openvino_telemetry'  # OpenVINO has a stub for where this is not installed
CONSENT = Path('~/intel') / OPENVINO  # where `opt_in_out --opt_in` writes 1


@contextmanager
def switched_off() -> Iterator[None]:
    """
    Import or start a library in here, without its telemetry; nothing stays changed afterwards.

    A variable that the user has set is left alone, and so is the consent given to OpenVINO.
    """
    added = {name: value for name, value in VARIABLES.items() if name not in os.environ}
    os.environ.update(added)
    hidden = not _consents()
    before = sys.modules.pop(OPENVINO, None) if hidden else None
    if hidden:
        sys.modules[OPENVINO] = None  # type: ignore[assignment]  # its import raises ImportError
    try:
        yield
    finally:
        for name in added:
            os.environ.pop(name, None)
        if hidden:
            del sys.modules[OPENVINO]
        if before is not None:
            sys.modules[OPENVINO] = before


def _consents() -> bool:
    try:
        return Path(os.path.expanduser(CONSENT)).read_text().strip() == '1'
    except (OSError, ValueError):
        return False
