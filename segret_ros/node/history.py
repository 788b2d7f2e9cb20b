# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""What has happened to a camera's images since its activation: counts, rates, times."""

from collections import Counter, deque
import threading
import time

import numpy as np
from segret_ros.node.silence import Silence

# received: all images; processed: labelled and published; rejected: no usable image; stale: too
# old to be labelled; late: too old once its labels were published; invalid: from a faulty camera;
# failed: by the engine; skipped: above max_rate; dropped: replaced by a newer one while waiting.
COUNTS = ('received', 'processed', 'rejected', 'stale', 'late', 'invalid', 'failed', 'skipped',
          'dropped')
MOST_KINDS = 8  # of faults that are counted separately
RECENT_S = 5.0  # how long a problem stays in the summary
WINDOW_S = 10.0
MOST_VALUES = 10_000  # of a window, to bound its memory
PERCENTILES = (50, 90, 99)


class Window:
    """The values of the last `WINDOW_S` seconds by the steady clock; safe for threads."""

    def __init__(self) -> None:
        self._started = time.monotonic()
        self._values: deque[tuple[float, float]] = deque(maxlen=MOST_VALUES)
        self._lock = threading.Lock()

    def add(self, value: float = 0.0) -> None:
        """Note a value, or just that something happened."""
        with self._lock:
            self._values.append((time.monotonic(), value))

    def values(self) -> list[float]:
        """Return the values, oldest first."""
        with self._lock:
            oldest = time.monotonic() - WINDOW_S
            while self._values and self._values[0][0] < oldest:
                self._values.popleft()
            return [value for _, value in self._values]

    def rate(self) -> float:
        """Return how often something happened, in 1/s."""
        seconds = min(WINDOW_S, time.monotonic() - self._started)
        return len(self.values()) / max(seconds, 1.0)

    def percentiles(self) -> dict[str, float]:
        """Return the values' percentiles as `p50`, `p90`, `p99`; empty without values."""
        values = self.values()
        if not values:
            return {}
        return {f'p{percent}': float(value)
                for percent, value in zip(PERCENTILES, np.percentile(values, PERCENTILES))}


class History:
    """Counts, times and the last problem of one camera."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.rejections: Counter[str] = Counter()  # by what was wrong with the images
        self.received = Window()
        self.latency_ms = Window()  # of each image, from its receipt to the publication
        self.last_processing_ms = 0.0  # from its turn to the publication
        self.qos_problem = ''
        self.stamp_problem = ''
        self.silence: Silence | None = None  # while no image comes
        self.last_problem = ''
        self._last_problem_at = -RECENT_S
        self._started = time.monotonic()
        self._last_received: float | None = None
        self._last_accepted = 0.0

    def note_received(self, max_rate: float) -> bool:
        """
        Note an image's receipt and return whether it may be labelled.

        :param max_rate: most images a second; 0: all.
        """
        now = time.monotonic()
        self.counts['received'] += 1
        self.received.add()
        self._last_received = now
        if max_rate and now - self._last_accepted < 1 / max_rate:
            self.counts['skipped'] += 1
            return False
        # Keep in step with the rate, but do not catch up after a pause.
        self._last_accepted = max(self._last_accepted + 1 / max_rate, now - 1 / max_rate
                                  ) if max_rate else now
        return True

    def note_processed(self, processing_ms: float, latency_ms: float) -> None:
        """Note that an image's labels were published."""
        self.counts['processed'] += 1
        self.last_processing_ms = processing_ms
        self.latency_ms.add(latency_ms)

    def note_rejected(self, kind: str) -> None:
        """Count the kind of fault of a rejected image."""
        known = kind in self.rejections or len(self.rejections) < MOST_KINDS
        self.rejections[kind if known else 'other faults'] += 1

    def note_problem(self, count: str, problem: str) -> None:
        """Note why an image has no valid labels, as one of `COUNTS`."""
        self.counts[count] += 1
        self.last_problem = f'{count}: {problem}'
        self._last_problem_at = time.monotonic()

    def recent_problem(self) -> str:
        """Return the last problem if it is recent, or nothing."""
        recent = time.monotonic() - self._last_problem_at < RECENT_S
        return self.last_problem if recent else ''

    def waited_s(self) -> float:
        """Return the seconds since the last image, or since the activation without one."""
        return time.monotonic() - (self._last_received or self._started)

    def silence_s(self) -> float | None:
        """Return the seconds since the last image, or None before the first."""
        return None if self._last_received is None else time.monotonic() - self._last_received
