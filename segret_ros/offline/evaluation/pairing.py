# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Which frame of one evaluation is which of the other."""

from dataclasses import replace

import numpy as np
from segret_ros.offline.evaluation.compared_folder import Frames


def pair(a: Frames, b: Frames) -> tuple[Frames, Frames]:
    """
    Return the frames that both have, by bag, camera and stamp.

    A stamp that is zero, or that a camera has twice in one of the two, is paired by the time of
    recording as well. Of frames that are equal in both the first is paired with the first where
    both have as many; else there is no telling, and none is paired.

    :return: those of A and those of B, with the same `series` and in the same order: camera by
        camera, in the order of stamps.
    """
    series = tuple(sorted({*a.series, *b.series}))
    camera, stamp_ns = (np.concatenate(both) for both in zip(*(
        (_places(one, series), one.stamp_ns) for one in (a, b))))
    is_b = np.arange(len(stamp_ns)) >= len(a)
    unsure = (_counts(camera, stamp_ns, is_b) > 1) | (stamp_ns == 0)
    time_ns = np.where(unsure, np.concatenate([a.time_ns, b.time_ns]), 0)
    even = _counts(camera, stamp_ns, time_ns, is_b) * 2 == _counts(camera, stamp_ns, time_ns)
    order = np.lexsort([is_b, _repeats(camera, stamp_ns, time_ns, is_b), time_ns, stamp_ns,
                        camera])
    order = order[even[order]]  # of A and B in turns
    in_a, in_b = order[::2], order[1::2] - len(a)
    index = camera[in_a].astype(np.int32)
    return (replace(a.take(in_a), series=series, series_index=index),
            replace(b.take(in_b), series=series, series_index=index))


def _places(frames: Frames, series: tuple[tuple[str, str], ...]) -> np.ndarray:
    """Return the place in `series` of each frame's camera, (frames,)."""
    places = np.array([series.index(one) for one in frames.series], np.int64)
    return places[frames.series_index]


def _groups(*keys: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return an order in which equal frames follow each other, and where each group begins."""
    order = np.lexsort(keys)
    changes = np.any([np.diff(key[order]) != 0 for key in keys], axis=0)
    return order, np.flatnonzero(np.append(True, changes)) if len(order) else order


def _counts(*keys: np.ndarray) -> np.ndarray:
    """Return how many frames have the keys of each, (frames,)."""
    order, starts = _groups(*keys)
    sizes = np.diff(np.append(starts, len(order)))
    counts = np.empty(len(order), np.int64)
    counts[order] = np.repeat(sizes, sizes)
    return counts


def _repeats(*keys: np.ndarray) -> np.ndarray:
    """Return how many frames before it have the keys of each, (frames,)."""
    order, starts = _groups(*keys)
    sizes = np.diff(np.append(starts, len(order)))
    repeats = np.empty(len(order), np.int64)
    repeats[order] = np.arange(len(order)) - np.repeat(starts, sizes)
    return repeats
