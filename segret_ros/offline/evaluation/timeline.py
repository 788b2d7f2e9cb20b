# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""The time of a drive: where its frames lie when its bags are put one after the other."""

from dataclasses import dataclass

import numpy as np

LONGEST_PAUSE_S = 60.0  # between two frames; more is no driving, or a clock that was set


@dataclass(frozen=True)
class Timeline:
    """
    When the frames were recorded.

    :param driven_s: (frames,) float64, ascending, since the first frame of all; what lies between
        two bags does not count, nor what a pause is longer than `LONGEST_PAUSE_S`.
    :param starts: where each bag begins, by its name, in `driven_s`.
    :param duration_s: of all bags together.
    """

    driven_s: np.ndarray
    starts: dict[str, float]
    duration_s: float


def timeline(columns: dict[str, np.ndarray]) -> Timeline:
    """
    Give the times of frames.

    :param columns: `bag` and `time_ns` of `frames.csv`, bag by bag.
    """
    bags = columns['bag']
    if not len(bags):
        return Timeline(np.zeros(0), {}, 0.0)
    is_first = np.append(True, bags[1:] != bags[:-1])
    steps = np.diff(columns['time_ns'], prepend=columns['time_ns'][0]) / 1e9
    driven_s = np.cumsum(np.where(is_first, 0, np.clip(steps, 0, LONGEST_PAUSE_S)))
    starts = {bags[row]: float(driven_s[row]) for row in np.flatnonzero(is_first)}
    return Timeline(driven_s, starts, float(driven_s[-1]))


def time_text(seconds: float) -> str:
    """Give a length of time as people say it."""
    if seconds < 120:
        return f'{seconds:.1f} s'
    minutes = round(seconds / 60)
    return f'{minutes} min' if minutes < 120 else f'{minutes // 60} h {minutes % 60} min'
