# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
Segmentation scores, counted in integers, so that the order of images does not matter.

The confusion matrix defines IoU and accuracy as mmsegmentation's IoUMetric does.
"""

from collections.abc import Sequence
import math
from typing import NamedTuple

import numpy as np

BOUNDARY_TOLERANCE = 0.0075  # of the image's diagonal, from Csurka et al.
BOUNDARY_UNIT = 2 ** 32  # steps of a boundary score of 1
BINS = 15  # of confidence
CONFIDENCE_UNIT = 255 * 2 ** 12  # steps of a confidence of 1: exact for uint8 and bins


class MetricError(ValueError):
    """Arrays that can't be scored; the message says what came and the rule."""


class ConfusionMatrix:
    """
    Pixel counts by true and predicted class.

    Pixels with an ignore label (255, or any id beyond the classes) are not counted. A predicted
    255 (unknown) counts as a miss of the true class.

    :param num_classes: classes, ids 0..num_classes - 1.
    """

    def __init__(self, num_classes: int) -> None:
        self.num_classes = num_classes
        # The last column counts predictions without a class.
        self.counts = np.zeros((num_classes, num_classes + 1), np.int64)

    def add(self, true_label: np.ndarray, predicted_label: np.ndarray) -> None:
        """
        Count one image.

        :param true_label, predicted_label: (H, W) uint8.
        :raises MetricError: if the two differ in size.
        """
        _check_equal_size(true_label, predicted_label)
        # Ids without a class share a row and a column after those of the classes.
        cells = np.minimum(true_label, self.num_classes).astype(np.intp)
        cells *= self.num_classes + 1
        cells += np.minimum(predicted_label, self.num_classes)
        counts = np.bincount(cells.ravel(), minlength=(self.num_classes + 1) ** 2)
        self.counts += counts.reshape(self.num_classes + 1, -1)[:-1]

    def unknown_share(self) -> float:
        """Return the share of counted pixels predicted as unknown, 0..1; NaN if none."""
        total = self.counts.sum()
        return float(self.counts[:, -1].sum() / total) if total else float('nan')

    def of_known(self) -> 'ConfusionMatrix':
        """Return the confusion of the pixels whose prediction is a class."""
        known = ConfusionMatrix(self.num_classes)
        known.counts[:, :-1] = self.counts[:, :-1]
        return known

    def iou(self) -> np.ndarray:
        """Return the intersection over union of each class, (num_classes,) 0..1; NaN if absent."""
        return share(np.diagonal(self.counts), self.union())

    def union(self) -> np.ndarray:
        """Count the pixels of each class in labels, predictions or both, (num_classes,)."""
        return self.counts.sum(1) + self.counts[:, :-1].sum(0) - np.diagonal(self.counts)

    def mean_iou(self) -> float:
        """Return the mean over classes that occur in labels or predictions, 0..1; NaN for none."""
        return float(mean(self.iou()))

    def accuracy(self) -> np.ndarray:
        """Return the correct share of each class's pixels, (num_classes,); NaN if absent."""
        return share(np.diagonal(self.counts), self.counts.sum(1))

    def mean_accuracy(self) -> float:
        """Return the mean over classes that occur in labels, 0..1; NaN for none."""
        return float(mean(self.accuracy()))

    def pixel_accuracy(self) -> float:
        """Return the share of counted pixels that are correct, 0..1; NaN if none is counted."""
        total = self.counts.sum()
        return float(np.diagonal(self.counts).sum() / total) if total else float('nan')


class BoundaryScore:
    """
    The boundary F-score of each class, after Csurka, Larlus and Perronnin (BMVC 2013).

    A class's boundary in an image is made of its pixels that have a pixel of another class above,
    below or beside them. Precision is the share of the predicted boundary that is closer than the
    tolerance (0.0075 of the image's diagonal) to the true boundary of the same class; recall is
    the share of the true boundary that is this close to the predicted one. The score is their
    harmonic mean, 0 if only one of the boundaries exists. A class's score is the mean over the
    images in which either exists.

    Pixels with an ignore label neither belong to a boundary nor create one, in both labels.
    """

    def __init__(self, num_classes: int) -> None:
        self.num_classes = num_classes
        self.images = np.zeros(num_classes, np.int64)
        self.sums = np.zeros(num_classes, np.int64)  # over the images, in `BOUNDARY_UNIT`

    def add(self, true_label: np.ndarray, predicted_label: np.ndarray) -> None:
        """
        Score one image.

        :param true_label, predicted_label: (H, W) uint8.
        :raises MetricError: if the two differ in size.
        """
        _check_equal_size(true_label, predicted_label)
        known = true_label < self.num_classes
        tolerance = BOUNDARY_TOLERANCE * math.hypot(*true_label.shape)
        true = _boundary(true_label, known, tolerance)
        predicted = _boundary(predicted_label, known, tolerance)
        lengths = self._by_class(true.label), self._by_class(predicted.label)
        near = [self._by_class(one.label[_is_near(one.place, other.place, true.width, tolerance)])
                for one, other in ((true, predicted), (predicted, true))]
        # The harmonic mean of recall = near[0] / lengths[0] and precision = near[1] / lengths[1].
        scores = share(2 * near[0] * near[1], near[0] * lengths[1] + near[1] * lengths[0])
        self.images += lengths[0] + lengths[1] > 0
        self.sums += np.rint(np.nan_to_num(scores) * BOUNDARY_UNIT).astype(np.int64)

    def _by_class(self, label: np.ndarray) -> np.ndarray:
        return np.bincount(label, minlength=256)[:self.num_classes]

    def scores(self) -> np.ndarray:
        """Return the score of each class, (num_classes,) 0..1; NaN for one without a boundary."""
        return share(self.sums, self.images * BOUNDARY_UNIT)

    def mean(self) -> float:
        """Return the mean over classes with a boundary, 0..1; NaN for none."""
        return float(mean(self.scores()))


class Calibration:
    """How often labels of a confidence are correct, in equal bins; upper bounds are included."""

    def __init__(self) -> None:
        self.counts = np.zeros(BINS, np.int64)
        self.hits = np.zeros(BINS, np.int64)
        self.sums = np.zeros(BINS, np.int64)  # of the confidence, in `CONFIDENCE_UNIT`

    def add(self, confidence: np.ndarray, correct: np.ndarray) -> None:
        """
        Count pixels.

        :param confidence: of any shape; uint8 where 255 is certain, or float 0..1.
        :param correct: bool of the same shape, whether the label is the true one.
        :raises MetricError: if the two differ in shape.
        """
        if confidence.shape != correct.shape:
            raise MetricError(f'confidence of shape {confidence.shape}, labels of shape '
                              f'{correct.shape}: give one confidence for each label')
        if confidence.dtype == np.uint8:
            self._add_bytes(confidence, correct)
            return
        steps = np.rint(confidence.ravel().astype(np.float64) * CONFIDENCE_UNIT).astype(np.int64)
        place = np.maximum(steps - 1, 0) // (CONFIDENCE_UNIT // BINS)
        self.counts += np.bincount(place, minlength=BINS)
        self.hits += np.bincount(place[correct.ravel()], minlength=BINS)
        # Weights are summed as float64: exact up to 2 ** 53, 8 billion pixels of one image.
        self.sums += np.bincount(place, steps, minlength=BINS).astype(np.int64)

    def _add_bytes(self, confidence: np.ndarray, correct: np.ndarray) -> None:
        """Count uint8 confidence by its 256 values: five times as fast."""
        counts = np.bincount(confidence.ravel(), minlength=256)
        hits = np.bincount(confidence[correct], minlength=256)
        steps = np.arange(256, dtype=np.int64) * (CONFIDENCE_UNIT // 255)
        place = np.maximum(steps - 1, 0) // (CONFIDENCE_UNIT // BINS)
        for total, values in ((self.counts, counts), (self.hits, hits),
                              (self.sums, counts * steps)):
            np.add.at(total, place, values)

    def confidence(self) -> np.ndarray:
        """Return the mean confidence of each bin, (BINS,) 0..1; NaN for an empty one."""
        return share(self.sums, self.counts * CONFIDENCE_UNIT)

    def accuracy(self) -> np.ndarray:
        """Return the share of correct pixels of each bin, (BINS,) 0..1; NaN for an empty one."""
        return share(self.hits, self.counts)

    def error(self) -> float:
        """
        Return the expected calibration error, 0..1; NaN if nothing is counted.

        It is the mean over pixels of the distance between their bin's confidence and accuracy.
        """
        total = self.counts.sum() * CONFIDENCE_UNIT
        gaps = np.abs(self.hits * CONFIDENCE_UNIT - self.sums).sum()
        return float(gaps / total) if total else float('nan')


class Scores:
    """All scores of one model's labels against the true ones."""

    def __init__(self, num_classes: int) -> None:
        self.confusion = ConfusionMatrix(num_classes)
        self.boundary = BoundaryScore(num_classes)
        self.calibration = Calibration()

    def add(self, true_label: np.ndarray, label: np.ndarray, confidence: np.ndarray) -> None:
        """
        Count one image.

        :param true_label, label: (H, W) uint8.
        :param confidence: (H, W) uint8, 255 is certain, or float 0..1; not counted where a label
            has no class.
        """
        self.confusion.add(true_label, label)
        self.boundary.add(true_label, label)
        counted = np.maximum(true_label, label) < self.confusion.num_classes
        self.calibration.add(confidence[counted], label[counted] == true_label[counted])

    def summary(self) -> dict[str, float]:
        """Return the scores over all classes by name, 0..1 each."""
        known = self.confusion.of_known()
        return {'mean_iou': self.confusion.mean_iou(),
                'mean_accuracy': self.confusion.mean_accuracy(),
                'pixel_accuracy': self.confusion.pixel_accuracy(),
                'mean_boundary_f_score': self.boundary.mean(),
                'expected_calibration_error': self.calibration.error(),
                'unknown_share': self.confusion.unknown_share(),
                'mean_iou_of_known': known.mean_iou(),
                'pixel_accuracy_of_known': known.pixel_accuracy()}

    def as_json(self, names: Sequence[str]) -> dict:
        """Return all scores as JSON values, null for those that are undefined."""
        classes = zip(names, self.confusion.iou(), self.confusion.accuracy(),
                      self.boundary.scores(), self.confusion.counts.sum(1))
        bins = zip(self.calibration.counts, self.calibration.confidence(),
                   self.calibration.accuracy())
        return {
            **{name: number(value) for name, value in self.summary().items()},
            'classes': [
                {'name': name, 'iou': number(iou), 'accuracy': number(accuracy),
                 'boundary_f_score': number(boundary), 'pixels': int(pixels)}
                for name, iou, accuracy, boundary, pixels in classes],
            'calibration': [
                {'pixels': int(pixels), 'confidence': number(confidence),
                 'accuracy': number(accuracy)} for pixels, confidence, accuracy in bins],
            'confusion': self.confusion.counts.tolist()}


def _check_equal_size(true_label: np.ndarray, predicted_label: np.ndarray) -> None:
    if true_label.shape != predicted_label.shape:
        raise MetricError(f'the true label is {true_label.shape}, the predicted one '
                          f"{predicted_label.shape}: both must have the image's size")


def share(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """Divide counts element by element, such as hits by unions for IoU; NaN for 0 of 0."""
    return np.divide(part, whole, out=np.full(whole.shape, np.nan), where=whole > 0)


def mean(values: np.ndarray) -> np.ndarray:
    """Return the mean over the last axis of the values that are not NaN; NaN without any."""
    return share(np.nansum(values, -1), np.count_nonzero(~np.isnan(values), axis=-1))


def number(value: float) -> float | None:
    """Return a score as a JSON value: null for NaN."""
    return None if math.isnan(value) else float(value)


class _Boundary(NamedTuple):
    """
    The pixels on the class boundaries of an image.

    :param place: (pixels,) int64, ascending: class by class, row by row, with gaps between rows
        and classes that are wider than the tolerance.
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
    Return which places are closer than the tolerance to any of the others of their class.

    Rows of the others are searched nearest first: few places are left after the first ones.

    :param places: of a `_Boundary`, as are `others`.
    :return: (pixels,) bool.
    """
    near = np.zeros(len(places), bool)
    left = np.arange(len(places))
    others = np.append(others, np.iinfo(np.int64).max)
    reach = math.ceil(tolerance) - 1  # rows further away are not closer than the tolerance
    for rows in sorted(range(-reach, reach + 1), key=abs):
        columns = math.ceil(math.sqrt(tolerance ** 2 - rows ** 2)) - 1
        wanted = places[left] + rows * width
        found = others[np.searchsorted(others, wanted - columns)] <= wanted + columns
        near[left[found]] = True
        left = left[~found]
    return near
