# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
Segmentation scores, counted in integers: images add up to the same in any order.

The confusion matrix gives IoU and accuracy as mmsegmentation's IoUMetric defines them.
"""

import math
from typing import NamedTuple

import numpy as np

BOUNDARY_TOLERANCE = 0.0075  # of the image's diagonal, as Csurka et al. have it
BOUNDARY_UNIT = 2 ** 32  # steps of a boundary score of 1
BINS = 15  # of confidence
CONFIDENCE_UNIT = 255 * 2 ** 12  # steps of a confidence of 1: holds uint8 exactly, and bins


class MetricError(ValueError):
    """Arrays that can't be scored; the message tells what came and the rule."""


class ConfusionMatrix:
    """
    Counts of pixels by true and predicted class.

    Pixels whose true label is no class (255, or any id beyond the classes) are not counted. A
    predicted 255 (unknown) counts as a miss of the true class.

    :param num_classes: classes, ids 0..num_classes - 1.
    """

    def __init__(self, num_classes: int) -> None:
        self.num_classes = num_classes
        # The last column holds predictions that are no class.
        self.counts = np.zeros((num_classes, num_classes + 1), np.int64)

    def add(self, true_label: np.ndarray, predicted_label: np.ndarray) -> None:
        """
        Count one image.

        :param true_label: (H, W) uint8.
        :param predicted_label: (H, W) uint8.
        :raises MetricError: when the two differ in size.
        """
        _check_equal_size(true_label, predicted_label)
        # What is no class gets a row and a column behind those of the classes.
        cells = np.minimum(true_label, self.num_classes).astype(np.intp)
        cells *= self.num_classes + 1
        cells += np.minimum(predicted_label, self.num_classes)
        counts = np.bincount(cells.ravel(), minlength=(self.num_classes + 1) ** 2)
        self.counts += counts.reshape(self.num_classes + 1, -1)[:-1]

    def unknown_share(self) -> float:
        """Give the share of counted pixels predicted as no class, 0..1; NaN for none."""
        total = self.counts.sum()
        return float(self.counts[:, -1].sum() / total) if total else float('nan')

    def of_known(self) -> 'ConfusionMatrix':
        """Give the confusion of the pixels that are predicted as a class."""
        known = ConfusionMatrix(self.num_classes)
        known.counts[:, :-1] = self.counts[:, :-1]
        return known

    def iou(self) -> np.ndarray:
        """Give the intersection over union of each class, (num_classes,) 0..1; NaN if absent."""
        return _share(np.diagonal(self.counts), self.union())

    def union(self) -> np.ndarray:
        """Count the pixels of each class in labels, predictions or both, (num_classes,)."""
        return self.counts.sum(1) + self.counts[:, :-1].sum(0) - np.diagonal(self.counts)

    def mean_iou(self) -> float:
        """Give the mean over classes that occur in labels or predictions, 0..1; NaN for none."""
        return _mean(self.iou())

    def accuracy(self) -> np.ndarray:
        """Give the share of each class's pixels that are right, (num_classes,); NaN if absent."""
        return _share(np.diagonal(self.counts), self.counts.sum(1))

    def mean_accuracy(self) -> float:
        """Give the mean over classes that occur in labels, 0..1; NaN for none."""
        return _mean(self.accuracy())

    def pixel_accuracy(self) -> float:
        """Give the share of counted pixels that are right, 0..1; NaN when none is counted."""
        total = self.counts.sum()
        return float(np.diagonal(self.counts).sum() / total) if total else float('nan')


class BoundaryScore:
    """
    The boundary F-score of each class, after Csurka, Larlus and Perronnin (BMVC 2013).

    A class's boundary in an image are its pixels with one of another class above, below or beside
    them. Precision is the share of the predicted boundary that lies closer than the tolerance
    (0.0075 of the image's diagonal) to the true one of the same class, recall the share of the
    true one that lies so close to the predicted one, and the score their harmonic mean: 0 where
    only one of the two is there. A class's score is the mean over the images where one is.

    Pixels whose true label is no class belong to no boundary and make none, in both labels.

    :param num_classes: classes, ids 0..num_classes - 1.
    """

    def __init__(self, num_classes: int) -> None:
        self.num_classes = num_classes
        self.images = np.zeros(num_classes, np.int64)
        self.sums = np.zeros(num_classes, np.int64)  # over the images, in `BOUNDARY_UNIT`

    def add(self, true_label: np.ndarray, predicted_label: np.ndarray) -> None:
        """
        Score one image.

        :param true_label: (H, W) uint8.
        :param predicted_label: (H, W) uint8.
        :raises MetricError: when the two differ in size.
        """
        _check_equal_size(true_label, predicted_label)
        known = true_label < self.num_classes
        tolerance = BOUNDARY_TOLERANCE * math.hypot(*true_label.shape)
        true = _boundary(true_label, known, tolerance)
        predicted = _boundary(predicted_label, known, tolerance)
        lengths = self._by_class(true.label), self._by_class(predicted.label)
        near = [self._by_class(one.label[_is_near(one.place, other.place, true.width, tolerance)])
                for one, other in ((true, predicted), (predicted, true))]
        # Of recall = near[0] / lengths[0] and precision = near[1] / lengths[1]: the harmonic mean.
        scores = _share(2 * near[0] * near[1], near[0] * lengths[1] + near[1] * lengths[0])
        there = lengths[0] + lengths[1] > 0
        self.images += there
        self.sums += np.rint(np.nan_to_num(scores) * BOUNDARY_UNIT).astype(np.int64)

    def _by_class(self, label: np.ndarray) -> np.ndarray:
        return np.bincount(label, minlength=256)[:self.num_classes]

    def scores(self) -> np.ndarray:
        """Give the score of each class, (num_classes,) 0..1; NaN for one without a boundary."""
        return _share(self.sums, self.images * BOUNDARY_UNIT)

    def mean(self) -> float:
        """Give the mean over classes with a boundary, 0..1; NaN for none."""
        return _mean(self.scores())


class Calibration:
    """How often labels of a confidence are right, in equal bins that hold their upper bound."""

    def __init__(self) -> None:
        self.counts = np.zeros(BINS, np.int64)
        self.hits = np.zeros(BINS, np.int64)
        self.sums = np.zeros(BINS, np.int64)  # of the confidence, in `CONFIDENCE_UNIT`

    def add(self, confidence: np.ndarray, right: np.ndarray) -> None:
        """
        Count some pixels.

        :param confidence: of any shape; uint8 where 255 is certain, or float 0..1.
        :param right: bool of the same shape, whether the label is the true one.
        :raises MetricError: when the two differ in shape.
        """
        if confidence.shape != right.shape:
            raise MetricError(f'confidence of shape {confidence.shape} and labels of {right.shape}'
                              ': give one confidence a label')
        if confidence.dtype == np.uint8:
            self._add_bytes(confidence, right)
            return
        steps = np.rint(confidence.ravel().astype(np.float64) * CONFIDENCE_UNIT).astype(np.int64)
        place = np.maximum(steps - 1, 0) // (CONFIDENCE_UNIT // BINS)
        self.counts += np.bincount(place, minlength=BINS)
        self.hits += np.bincount(place[right.ravel()], minlength=BINS)
        # Weights are summed as float64: exact up to 2 ** 53, 8 billion pixels of one image.
        self.sums += np.bincount(place, steps, minlength=BINS).astype(np.int64)

    def _add_bytes(self, confidence: np.ndarray, right: np.ndarray) -> None:
        """Count a confidence of uint8 by its 256 values: five times as fast."""
        counts = np.bincount(confidence.ravel(), minlength=256)
        hits = np.bincount(confidence[right], minlength=256)
        steps = np.arange(256, dtype=np.int64) * (CONFIDENCE_UNIT // 255)
        place = np.maximum(steps - 1, 0) // (CONFIDENCE_UNIT // BINS)
        for total, values in ((self.counts, counts), (self.hits, hits),
                              (self.sums, counts * steps)):
            np.add.at(total, place, values)

    def confidence(self) -> np.ndarray:
        """Give the mean confidence of each bin, (BINS,) 0..1; NaN for an empty one."""
        return _share(self.sums, self.counts * CONFIDENCE_UNIT)

    def accuracy(self) -> np.ndarray:
        """Give the share of right pixels of each bin, (BINS,) 0..1; NaN for an empty one."""
        return _share(self.hits, self.counts)

    def error(self) -> float:
        """
        Give the expected calibration error, 0..1; NaN when nothing is counted.

        It is the mean over the pixels of how far their bin's confidence is from its accuracy.
        """
        total = self.counts.sum() * CONFIDENCE_UNIT
        gaps = np.abs(self.hits * CONFIDENCE_UNIT - self.sums).sum()
        return float(gaps / total) if total else float('nan')


def _check_equal_size(true_label: np.ndarray, predicted_label: np.ndarray) -> None:
    if true_label.shape != predicted_label.shape:
        raise MetricError(f'the true label is {true_label.shape}, the predicted one '
                          f"{predicted_label.shape}: both must have the image's size")


def _share(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    return np.divide(part, whole, out=np.full(len(whole), np.nan), where=whole > 0)


def _mean(values: np.ndarray) -> float:
    """Give the mean of what is not NaN; NaN for nothing."""
    return float(np.nanmean(values)) if not np.isnan(values).all() else float('nan')


class _Boundary(NamedTuple):
    """
    The pixels on the boundaries of an image's classes.

    :param place: (pixels,) int64, ascending: class by class, row by row, with room between rows
        and classes that the tolerance does not reach across.
    :param label: (pixels,) uint8, their classes.
    :param width: of a row of places.
    """

    place: np.ndarray
    label: np.ndarray
    width: int


def _boundary(label: np.ndarray, known: np.ndarray, tolerance: float) -> _Boundary:
    on = np.zeros(label.shape, bool)
    down = (label[1:] != label[:-1]) & known[1:] & known[:-1]
    on[1:] |= down
    on[:-1] |= down
    across = (label[:, 1:] != label[:, :-1]) & known[:, 1:] & known[:, :-1]
    on[:, 1:] |= across
    on[:, :-1] |= across
    height, width = (side + math.ceil(tolerance) for side in label.shape)
    found = np.flatnonzero(on)
    row, column = np.divmod(found, label.shape[1])
    label = label.ravel()[found]
    order = np.argsort(label, kind='stable')
    place = (label.astype(np.int64) * height + row) * width + column
    return _Boundary(place[order], label[order], width)


def _is_near(places: np.ndarray, others: np.ndarray, width: int, tolerance: float) -> np.ndarray:
    """
    Tell which places are closer than the tolerance to one of the others of their class.

    Row by row of the others, the nearest first: few places are left after some rows.

    :param places: of a `_Boundary`, as are `others`.
    :return: (pixels,) bool.
    """
    near = np.zeros(len(places), bool)
    left = np.arange(len(places))
    others = np.append(others, np.iinfo(np.int64).max)
    reach = math.ceil(tolerance) - 1  # the most rows that are closer than the tolerance
    for rows in sorted(range(-reach, reach + 1), key=abs):
        columns = math.ceil(math.sqrt(tolerance ** 2 - rows ** 2)) - 1
        wanted = places[left] + rows * width
        found = others[np.searchsorted(others, wanted - columns)] <= wanted + columns
        near[left[found]] = True
        left = left[~found]
    return near
