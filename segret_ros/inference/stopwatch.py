# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Wall times of stages that follow each other."""

import time


class Stopwatch:
    """Wall time from lap to lap; `laps_ms` holds those that have a name."""

    def __init__(self) -> None:
        self.laps_ms: dict[str, float] = {}
        self._last = time.perf_counter()

    def lap(self, name: str = '') -> None:
        """End a lap."""
        now = time.perf_counter()
        if name:
            self.laps_ms[name] = (now - self._last) * 1e3
        self._last = now
