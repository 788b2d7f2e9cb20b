# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Waiting for a condition instead of a fixed time."""

from collections.abc import Callable
import time
from typing import Any

WAIT_S = 20.0  # longest wait for anything; a busy machine needs some of it


def wait_for(condition: Callable[[], Any], what: str, timeout_s: float = WAIT_S,
             pause: Callable[[], object] = lambda: time.sleep(0.02)) -> Any:
    """
    Wait until a condition holds and return its value.

    :param what: is waited for; named by the error when it does not come.
    :param pause: runs between two looks.
    """
    end = time.monotonic() + timeout_s
    while not (value := condition()):
        assert time.monotonic() < end, f'waited {timeout_s:g} s in vain for {what}'
        pause()
    return value
