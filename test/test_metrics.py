"""Scores against counts made by hand."""

import math

import numpy as np
import pytest
from segret_ros.metrics import ConfusionMatrix


def confusion_of(true: list[int], predicted: list[int], num_classes: int = 3) -> ConfusionMatrix:
    """Give the confusion of one row of pixels."""
    confusion = ConfusionMatrix(num_classes)
    confusion.add(np.array([true], np.uint8), np.array([predicted], np.uint8))
    return confusion


def test_three_classes() -> None:
    confusion = confusion_of([0, 0, 0, 1, 1, 2], [0, 0, 1, 1, 2, 2])
    np.testing.assert_array_equal(confusion.counts, [[2, 1, 0, 0], [0, 1, 1, 0], [0, 0, 1, 0]])
    np.testing.assert_allclose(confusion.iou(), [2 / 3, 1 / 3, 1 / 2])
    assert confusion.mean_iou() == pytest.approx(1 / 2)
    assert confusion.pixel_accuracy() == pytest.approx(4 / 6)


def test_an_absent_class_is_left_out_of_the_mean() -> None:
    confusion = confusion_of([0, 0, 1, 1], [0, 1, 1, 1])
    np.testing.assert_allclose(confusion.iou(), [1 / 2, 2 / 3, np.nan])
    assert confusion.mean_iou() == pytest.approx(7 / 12)


def test_a_class_that_is_only_predicted_counts_as_wrong() -> None:
    confusion = confusion_of([0, 0], [0, 2])
    np.testing.assert_allclose(confusion.iou(), [1 / 2, np.nan, 0])
    assert confusion.mean_iou() == pytest.approx(1 / 4)


def test_ignored_pixels_do_not_count() -> None:
    confusion = confusion_of([0, 255, 255, 3, 1], [0, 1, 255, 0, 1])
    assert confusion.counts.sum() == 2
    np.testing.assert_allclose(confusion.iou(), [1, 1, np.nan])


def test_an_unknown_prediction_is_a_miss() -> None:
    confusion = confusion_of([0, 0, 1, 1], [0, 255, 1, 7])
    np.testing.assert_allclose(confusion.iou(), [1 / 2, 1 / 2, np.nan])
    assert confusion.pixel_accuracy() == pytest.approx(1 / 2)


def test_images_add_up() -> None:
    confusion = confusion_of([0, 1], [0, 1])
    confusion.add(np.zeros((300, 400), np.uint8), np.ones((300, 400), np.uint8))
    np.testing.assert_allclose(confusion.iou(), [1 / 120_001, 1 / 120_001, np.nan])


def test_nothing_counted_gives_nan() -> None:
    confusion = confusion_of([255], [0])
    assert math.isnan(confusion.mean_iou())
    assert math.isnan(confusion.pixel_accuracy())


def test_254_classes_fit() -> None:
    confusion = confusion_of([253, 253, 0], [253, 255, 253], num_classes=254)
    assert confusion.iou()[253] == pytest.approx(1 / 3)


def test_another_size_is_refused() -> None:
    with pytest.raises(ValueError, match=r'\(2, 3\), the predicted one \(3, 2\)'):
        ConfusionMatrix(3).add(np.zeros((2, 3), np.uint8), np.zeros((3, 2), np.uint8))
