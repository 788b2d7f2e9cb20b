# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""What has happened to a camera's images since it was activated."""

from collections import Counter
import time

from segret_ros.node.silence import Silence
from segret_ros.node.window import Window

# received: all; of them processed: labelled and published; rejected: no usable image; stale: too
# old to be labelled; late: too old when its labels were published; invalid: of a faulty camera;
# failed: by the engine; skipped: over max_rate.
COUNTS = ('received', 'processed', 'rejected', 'stale', 'late', 'invalid', 'failed', 'skipped')
MOST_KINDS = 8  # of faults that are counted apart
RECENT_S = 5.0  # for so long a problem is told in the summary


class History:
    """Counts, times and the last problem of one camera."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.rejections: Counter[str] = Counter()  # by what was wrong with the images
        self.received = Window()
        self.latency_ms = Window()  # of each image: from its receipt to its publication
        self.last_processing_ms = 0.0  # from its turn to its publication
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
        Note an image's receipt and tell whether it may be labelled.

        :param max_rate: images a second at most; 0: all.
        """
        now = time.monotonic()
        self.counts['received'] += 1
        self.received.add()
        self._last_received = now
        if max_rate and now - self._last_accepted < 1 / max_rate:
            self.counts['skipped'] += 1
            return False
        # In step with the rate, but without catching up after a silence.
        self._last_accepted = max(self._last_accepted + 1 / max_rate, now - 1 / max_rate
                                  ) if max_rate else now
        return True

    def note_processed(self, processing_ms: float, latency_ms: float) -> None:
        """Note an image's labels."""
        self.counts['processed'] += 1
        self.last_processing_ms = processing_ms
        self.latency_ms.add(latency_ms)

    def note_rejected(self, kind: str) -> None:
        """Note what was wrong with a rejected image, without its numbers."""
        known = kind in self.rejections or len(self.rejections) < MOST_KINDS
        self.rejections[kind if known else 'other faults'] += 1

    def note_problem(self, count: str, problem: str) -> None:
        """Note what became of an image instead, as one of `COUNTS`."""
        self.counts[count] += 1
        self.last_problem = f'{count}: {problem}'
        self._last_problem_at = time.monotonic()

    def recent_problem(self) -> str:
        """Give the last problem, if it is not long ago."""
        recent = time.monotonic() - self._last_problem_at < RECENT_S
        return self.last_problem if recent else ''

    def waited_s(self) -> float:
        """Return the seconds since the last image, or since the camera is listened to."""
        return time.monotonic() - (self._last_received or self._started)

    def silence_s(self) -> float | None:
        """Give the seconds since the last image, or None before the first."""
        return None if self._last_received is None else time.monotonic() - self._last_received
