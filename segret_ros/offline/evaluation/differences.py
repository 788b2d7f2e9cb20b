# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""The differences between frames of two evaluations that are paired."""

from collections.abc import Sequence

import numpy as np
from segret_ros.offline.evaluation.bootstrap import Blocks, interval, resample
from segret_ros.offline.evaluation.compared_folder import Frames
from segret_ros.offline.evaluation.comparison import ChangedFrame, Difference

MOST_CHANGED = 10
BEHAVIOUR = {'stability': 1, 'flicker': -1, 'confidence': 0, 'unknown': 0}  # which way is good


def score_differences(a: Frames, b: Frames, classes: Sequence[str]) -> list[Difference]:
    """
    Give the differences of mean IoU, pixel accuracy and the IoU of each class, in this order.

    :param a, b: of `pair`, with true labels all.
    """
    blocks = _blocks(a)
    sums = [_counts(frames, blocks) for frames in (a, b)]
    of_a, of_b = (_scores(one.sum(0, keepdims=True))[0] for one in sums)
    drawn = np.split(resample(np.concatenate(sums, 1)), 2, 1)
    drawn_differences = _scores(drawn[1]) - _scores(drawn[0])
    unions = sum(one[:, :-2].reshape(len(blocks), 2, -1)[:, 1] for one in sums)
    informed = [len(blocks)] * 2 + np.count_nonzero(unions, axis=0).tolist()
    return [_difference(name, *values, drawn_differences[:, place], informed[place], 1)
            for place, (name, *values) in enumerate(
                zip(['mean IoU', 'pixel accuracy', *classes], of_a, of_b))]


def _blocks(frames: Frames) -> Blocks:
    """Give the blocks of some frames: a bag is a drive."""
    bags = [bag for bag, _ in frames.series]
    drives = np.array([bags.index(bag) for bag in bags])
    return Blocks(drives[frames.series_index], frames.time_ns)


def _counts(frames: Frames, blocks: Blocks) -> np.ndarray:
    """Give hits and unions of each class, right and all pixels: (blocks, 2 classes + 2)."""
    hits = blocks.sums(frames.hits)
    return np.column_stack([hits, blocks.sums(frames.unions), hits.sum(1),
                            blocks.sums(frames.pixels())])


def _scores(counts: np.ndarray) -> np.ndarray:
    """Give mean IoU, pixel accuracy and IoUs, (rows, 2 + classes), of `_counts` added up."""
    hits, unions = np.split(counts[:, :-2], 2, 1)
    iou = _share(hits, unions)
    mean = _share(np.nansum(iou, 1), np.count_nonzero(unions, axis=1))
    return np.column_stack([mean, _share(counts[:, -2], counts[:, -1]), iou])


def value_differences(a: Frames, b: Frames, names: Sequence[str]) -> list[Difference]:
    """
    Give the differences of some of the frames' values: the means over the frames that have both.

    :param a, b: of `pair`.
    :param names: of `BEHAVIOUR`.
    """
    values = [np.column_stack([getattr(frames, name) for name in names]) for frames in (a, b)]
    return _mean_differences(a, *values, [(name, BEHAVIOUR[name]) for name in names])


def area_differences(a: Frames, b: Frames, classes: Sequence[str]) -> list[Difference]:
    """
    Give the differences of the classes' areas: their mean share of the pixels of a frame.

    :param a, b: of `pair`.
    """
    return _mean_differences(a, a.areas, b.areas, [(name, 0) for name in classes])


def _mean_differences(frames: Frames, a: np.ndarray, b: np.ndarray,
                      columns: Sequence[tuple[str, int]]) -> list[Difference]:
    """
    Give the differences of means over frames.

    :param a, b: (frames, columns) float, NaN where a frame has no value.
    :param columns: name of each, and which way is good.
    """
    blocks = _blocks(frames)
    there = ~np.isnan(a) & ~np.isnan(b)
    number = blocks.sums(there.astype(np.int64))
    # The frames' differences add up, not their values: equal frames give exactly zero.
    drawn, drawn_number = np.split(resample(np.concatenate(
        [blocks.sums(np.where(there, b - a, 0)), number], 1)), 2, 1)
    drawn_differences = _share(drawn, drawn_number)
    informed = np.count_nonzero(number, axis=0).tolist()
    means = [_share(np.where(there, values, 0).sum(0, dtype=np.float64), there.sum(0))
             for values in (a, b)]
    return [_difference(name, *values, drawn_differences[:, place], informed[place], good)
            for place, ((name, good), *values) in enumerate(zip(columns, *means))]


def changed_frames(a: Frames, b: Frames, classes: Sequence[str],
                   by_score: bool) -> list[ChangedFrame]:
    """
    Give the frames that differ most, the most different first; at most `MOST_CHANGED`.

    :param a, b: of `pair`.
    :param by_score: by mean IoU, else by the share of pixels that got another class.
    """
    grown = np.column_stack([b.areas - a.areas, b.unknown - a.unknown])
    moved = np.abs(grown).sum(1) / 2  # what one class wins another one loses
    size = np.nan_to_num(np.abs(b.miou - a.miou) if by_score else moved)
    order = np.argsort(-size, kind='stable')[:MOST_CHANGED]
    return [_changed_frame(a, b, place, float(moved[place]), classes)
            for place in order if size[place] > 0]


def _changed_frame(a: Frames, b: Frames, place: int, moved: float,
                   classes: Sequence[str]) -> ChangedFrame:
    most = int(np.abs(b.areas[place] - a.areas[place]).argmax())
    bag, camera = a.series[a.series_index[place]]
    return ChangedFrame(
        bag, camera, int(a.stamp_ns[place]), int(a.time_ns[place]), float(a.miou[place]),
        float(b.miou[place]), moved, classes[most], float(a.areas[place, most]),
        float(b.areas[place, most]))


def _difference(name: str, a: float, b: float, drawn: np.ndarray, blocks: int,
                good: int) -> Difference:
    told = None if np.isnan(b - a) else interval(drawn, blocks)
    return Difference(name, float(a), float(b), told, good)


def _share(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    return np.divide(part, whole, out=np.full(whole.shape, np.nan), where=whole > 0)
