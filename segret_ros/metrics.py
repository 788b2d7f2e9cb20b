"""Segmentation scores from one integer confusion matrix."""

import numpy as np


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
        :raises ValueError: when the two differ in size.
        """
        if true_label.shape != predicted_label.shape:
            raise ValueError(f'the true label is {true_label.shape}, the predicted one '
                             f"{predicted_label.shape}: both must have the image's size")
        counted = true_label < self.num_classes
        predicted = np.minimum(predicted_label[counted], self.num_classes).astype(np.int64)
        cells = true_label[counted].astype(np.int64) * self.counts.shape[1] + predicted
        self.counts += np.bincount(cells, minlength=self.counts.size).reshape(self.counts.shape)

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
        hits = np.diagonal(self.counts).astype(float)
        union = self.counts.sum(1) + self.counts[:, :-1].sum(0) - hits
        return np.divide(hits, union, out=np.full(self.num_classes, np.nan), where=union > 0)

    def mean_iou(self) -> float:
        """Give the mean over classes that occur in labels or predictions, 0..1; NaN for none."""
        iou = self.iou()
        return float(np.nanmean(iou)) if not np.isnan(iou).all() else float('nan')

    def pixel_accuracy(self) -> float:
        """Give the share of counted pixels that are right, 0..1; NaN when none is counted."""
        total = self.counts.sum()
        return float(np.diagonal(self.counts).sum() / total) if total else float('nan')
