"""Which frame of one evaluation is which of the other."""

from dataclasses import replace

import numpy as np
from segret_ros.evaluation.comparison.folder import Frames


def pair(a: Frames, b: Frames) -> tuple[Frames, Frames]:
    """
    Give the frames that both have, by bag, camera and stamp.

    Of a stamp that a camera repeats, the first is paired with the first, and so on.

    :return: those of A and those of B, with the same `series` and in the same order: camera by
        camera, in the order of stamps.
    """
    series = tuple(sorted({*a.series, *b.series}))
    keys = np.concatenate([_keys(a, series), _keys(b, series)], 1)
    order = np.lexsort(keys[::-1])  # stable: A's frame comes before B's
    equal = (np.diff(keys[:, order]) == 0).all(0)
    in_a, in_b = order[:-1][equal], order[1:][equal] - len(a)
    index = keys[0, in_a].astype(np.int32)
    return (replace(a.take(in_a), series=series, series_index=index),
            replace(b.take(in_b), series=series, series_index=index))


def _keys(frames: Frames, series: tuple[tuple[str, str], ...]) -> np.ndarray:
    """Give camera, stamp and number of its repeats so far of each frame: (3, frames) int64."""
    places = np.array([series.index(one) for one in frames.series], np.int64)
    keys = np.stack([places[frames.series_index], frames.stamp_ns,
                     np.zeros(len(frames), np.int64)])
    order = np.lexsort(keys[1::-1])
    number = np.arange(len(frames))
    repeats = np.zeros(len(frames), bool)
    repeats[1:] = (np.diff(keys[:2, order]) == 0).all(0)
    keys[2, order] = number - np.maximum.accumulate(np.where(repeats, 0, number))
    return keys
