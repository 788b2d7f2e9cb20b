# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""All that is measured of labels against true ones."""

from collections.abc import Sequence
import math

import numpy as np
from segret_ros.labels.metrics import BoundaryScore, Calibration, ConfusionMatrix


class Scores:
    """
    What is measured of one model's labels.

    :param num_classes: classes, ids 0..num_classes - 1.
    """

    def __init__(self, num_classes: int) -> None:
        self.confusion = ConfusionMatrix(num_classes)
        self.boundary = BoundaryScore(num_classes)
        self.calibration = Calibration()

    def add(self, true_label: np.ndarray, label: np.ndarray, confidence: np.ndarray) -> None:
        """
        Count one image.

        :param true_label: (H, W) uint8.
        :param label: (H, W) uint8.
        :param confidence: (H, W) uint8, 255 is certain, or float 0..1; that of pixels labelled as
            no class does not count.
        """
        self.confusion.add(true_label, label)
        self.boundary.add(true_label, label)
        counted = np.maximum(true_label, label) < self.confusion.num_classes
        self.calibration.add(confidence[counted], label[counted] == true_label[counted])

    def summary(self) -> dict[str, float]:
        """Give the scores over all classes by their names, 0..1 each."""
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
        """
        Give all of it as JSON values, with null for what is undefined.

        :param names: of the classes.
        """
        classes = zip(names, self.confusion.iou(), self.confusion.accuracy(),
                      self.boundary.scores(), self.confusion.counts.sum(1))
        bins = zip(self.calibration.counts, self.calibration.confidence(),
                   self.calibration.accuracy())
        return {
            **{name: _number(value) for name, value in self.summary().items()},
            'classes': [
                {'name': name, 'iou': _number(iou), 'accuracy': _number(accuracy),
                 'boundary_f_score': _number(boundary), 'pixels': int(pixels)}
                for name, iou, accuracy, boundary, pixels in classes],
            'calibration': [
                {'pixels': int(pixels), 'confidence': _number(confidence),
                 'accuracy': _number(accuracy)} for pixels, confidence, accuracy in bins],
            'confusion': self.confusion.counts.tolist()}


def _number(value: float) -> float | None:
    return None if math.isnan(value) else float(value)
