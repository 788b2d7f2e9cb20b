"""The time of a drive: where its frames lie when its bags are put one after the other."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Timeline:
    """
    When the frames were recorded.

    :param in_bag_s: (frames,) float64, since the first frame of its bag.
    :param driven_s: (frames,) float64, since the first frame of all, without what lies between
        two bags.
    :param starts: where each bag begins, by its name, in `driven_s`.
    :param duration_s: of all bags together.
    """

    in_bag_s: np.ndarray
    driven_s: np.ndarray
    starts: dict[str, float]
    duration_s: float


def timeline(columns: dict[str, np.ndarray]) -> Timeline:
    """
    Give the times of frames.

    :param columns: `bag` and `time_ns` of `frames.csv`, bag by bag.
    """
    bags, times_ns = columns['bag'], columns['time_ns']
    in_bag_s, driven_s = np.zeros(len(bags)), np.zeros(len(bags))
    starts: dict[str, float] = {}
    end = 0.0
    edges = [0, *(np.flatnonzero(bags[1:] != bags[:-1]) + 1), len(bags)]
    for first, last in zip(edges, edges[1:]):
        if first == last:
            continue
        part = slice(first, last)
        in_bag_s[part] = (times_ns[part] - times_ns[part].min()) / 1e9
        driven_s[part] = in_bag_s[part] + end
        starts[bags[first]] = end
        end += float(in_bag_s[part].max())
    return Timeline(in_bag_s, driven_s, starts, end)


def time_text(seconds: float) -> str:
    """Give a length of time as people say it."""
    if seconds < 120:
        return f'{seconds:.1f} s'
    minutes = round(seconds / 60)
    return f'{minutes} min' if minutes < 120 else f'{minutes // 60} h {minutes % 60} min'
