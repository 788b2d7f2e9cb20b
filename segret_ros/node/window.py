# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""What happened in the last seconds: rates and percentiles."""

from collections import deque
import threading
import time

import numpy as np

WINDOW_S = 10.0
MOST_VALUES = 10_000  # of a window, so that a flood takes no memory
PERCENTILES = (50, 90, 99)


class Window:
    """The values of the last `WINDOW_S` seconds by the steady clock; threads may share it."""

    def __init__(self) -> None:
        self._started = time.monotonic()
        self._values: deque[tuple[float, float]] = deque(maxlen=MOST_VALUES)
        self._lock = threading.Lock()

    def add(self, value: float = 0.0) -> None:
        """Note a value, or that something happened."""
        with self._lock:
            self._values.append((time.monotonic(), value))

    def values(self) -> list[float]:
        """Give the values, oldest first."""
        with self._lock:
            oldest = time.monotonic() - WINDOW_S
            while self._values and self._values[0][0] < oldest:
                self._values.popleft()
            return [value for _, value in self._values]

    def rate(self) -> float:
        """Give how often something happened, in 1/s."""
        seconds = min(WINDOW_S, time.monotonic() - self._started)
        return len(self.values()) / max(seconds, 1.0)

    def percentiles(self) -> dict[str, float]:
        """Give the values' percentiles as `p50`, `p90`, `p99`; none of no values."""
        values = self.values()
        if not values:
            return {}
        return {f'p{percent}': float(value)
                for percent, value in zip(PERCENTILES, np.percentile(values, PERCENTILES))}
