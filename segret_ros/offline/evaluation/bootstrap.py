# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
How far a difference may be chance: the block bootstrap.

Frames that follow each other show the same scene, so that their errors are alike. Blocks of
consecutive frames are drawn instead of frames (Carlstein, Annals of Statistics 14, 1986), the same
for both evaluations. An interval of percentiles is too narrow for few blocks; it is taken further
out, as Student's t is wider than a normal distribution (Hesterberg, The American Statistician 69,
2015).
"""

import math
from statistics import NormalDist

import numpy as np

BLOCK_NS = 1_000_000_000
RESAMPLINGS = 1000
SEED = 0
LEVEL = 0.95
FEWEST_BLOCKS = 5  # below it no interval is told
DRAWN_AT_ONCE = 2 ** 21  # counts of blocks, 16 MiB


class Blocks:
    """
    Frames of a drive, `BLOCK_NS` long, that are drawn as one, of all its cameras.

    Cameras of one vehicle see the same scene: drawn apart, two of them give intervals that hold
    the truth in 84 % of cases, four in 66 %.

    :param drive: (frames,) number of the drive of each frame.
    :param time_ns: (frames,) int64, when each was recorded.
    """

    def __init__(self, drive: np.ndarray, time_ns: np.ndarray) -> None:
        self._order = np.lexsort([time_ns, drive])
        drive, time_ns = drive[self._order], time_ns[self._order]
        first = np.searchsorted(drive, drive)  # of the frame's drive
        number = (time_ns - time_ns[first]) // BLOCK_NS
        changes = (np.diff(drive) != 0) | (np.diff(number) != 0)
        self._starts = np.flatnonzero(np.concatenate([np.ones(min(len(number), 1), bool),
                                                      changes]))

    def __len__(self) -> int:
        return len(self._starts)

    def sums(self, values: np.ndarray) -> np.ndarray:
        """Give the sums over each block, (blocks, columns) float64, of (frames, columns)."""
        kind = np.float64 if values.dtype.kind == 'f' else np.int64
        return np.add.reduceat(values[self._order], self._starts, axis=0,
                               dtype=kind).astype(np.float64)


def resample(sums: np.ndarray) -> np.ndarray:
    """
    Give the totals of `RESAMPLINGS` draws of as many blocks as there are, with replacement.

    All columns are of the same draws, and every call with as many blocks draws the same. Sums of
    integers below 2 ** 53 are exact.

    :param sums: (blocks, columns) float64.
    :return: (RESAMPLINGS, columns) float64.
    """
    random = np.random.default_rng(SEED)
    at_once = max(1, DRAWN_AT_ONCE // len(sums))
    totals = [_draws(random, min(at_once, RESAMPLINGS - done), len(sums)) @ sums
              for done in range(0, RESAMPLINGS, at_once)]
    return np.concatenate(totals)


def _draws(random: np.random.Generator, times: int, blocks: int) -> np.ndarray:
    """Give how often each block is drawn: (times, blocks) float64, multinomial."""
    drawn = random.integers(blocks, size=(times, blocks))
    drawn += np.arange(times)[:, None] * blocks
    counts = np.bincount(drawn.ravel(), minlength=drawn.size)
    return counts.reshape(drawn.shape).astype(np.float64)


def interval(resampled: np.ndarray, blocks: int) -> tuple[float, float] | None:
    """
    Give the bounds that hold the true value in `LEVEL` of all cases; None for too few blocks.

    :param resampled: (RESAMPLINGS,) of a statistic; NaN where a draw has none.
    :param blocks: that the statistic depends on.
    """
    if blocks < FEWEST_BLOCKS:
        return None
    reach = student_quantile((1 + LEVEL) / 2, blocks - 1) * math.sqrt(blocks / (blocks - 1))
    tail = NormalDist().cdf(-reach)
    low, high = np.nanquantile(resampled, [tail, 1 - tail])
    return float(low), float(high)


def student_quantile(probability: float, freedom: int) -> float:
    """
    Give the quantile of Student's t, to 0.3 % from 4 degrees of freedom on.

    Abramowitz and Stegun, Handbook of Mathematical Functions, 26.7.5.
    """
    z = NormalDist().inv_cdf(probability)
    terms = ((z ** 3 + z) / 4, (5 * z ** 5 + 16 * z ** 3 + 3 * z) / 96,
             (3 * z ** 7 + 19 * z ** 5 + 17 * z ** 3 - 15 * z) / 384)
    return z + sum(term / freedom ** power for power, term in enumerate(terms, 1))
