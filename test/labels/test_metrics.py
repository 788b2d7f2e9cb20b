# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Scores against counts made by hand."""

import math

import numpy as np
import pytest
from segret_ros.labels.metrics import BoundaryScore, Calibration, ConfusionMatrix, MetricError


def confusion_of(true: list[int], predicted: list[int], num_classes: int = 3) -> ConfusionMatrix:
    confusion = ConfusionMatrix(num_classes)
    confusion.add(np.array([true], np.uint8), np.array([predicted], np.uint8))
    return confusion


def test_three_classes() -> None:
    confusion = confusion_of([0, 0, 0, 1, 1, 2], [0, 0, 1, 1, 2, 2])
    np.testing.assert_array_equal(confusion.counts, [[2, 1, 0, 0], [0, 1, 1, 0], [0, 0, 1, 0]])
    np.testing.assert_allclose(confusion.iou(), [2 / 3, 1 / 3, 1 / 2])
    assert confusion.mean_iou() == pytest.approx(1 / 2)
    assert confusion.pixel_accuracy() == pytest.approx(4 / 6)


@pytest.mark.parametrize(('true', 'predicted', 'counted', 'iou'), [
    ([0, 0, 1, 1], [0, 1, 1, 1], 4, [1 / 2, 2 / 3, np.nan]),  # an absent class
    ([0, 0], [0, 2], 2, [1 / 2, np.nan, 0]),  # one that is only predicted is wrong
    ([0, 255, 255, 3, 1], [0, 1, 255, 0, 1], 2, [1, 1, np.nan]),  # ignored pixels
    ([0, 0, 1, 1], [0, 255, 1, 7], 4, [1 / 2, 1 / 2, np.nan])])  # an unknown one is a miss
def test_the_iou_of_what_occurs(true: list[int], predicted: list[int], counted: int,
                                iou: list[float]) -> None:
    confusion = confusion_of(true, predicted)
    assert confusion.counts.sum() == counted
    np.testing.assert_allclose(confusion.iou(), iou)
    assert confusion.mean_iou() == pytest.approx(np.nanmean(iou))
    right = sum(one == other for one, other in zip(true, predicted) if one < 3)
    assert confusion.pixel_accuracy() == pytest.approx(right / counted)


def test_images_add_up() -> None:
    confusion = confusion_of([0, 1], [0, 1])
    confusion.add(np.zeros((300, 400), np.uint8), np.ones((300, 400), np.uint8))
    np.testing.assert_allclose(confusion.iou(), [1 / 120_001, 1 / 120_001, np.nan])


def test_nothing_counted_gives_nan() -> None:
    confusion = confusion_of([255], [0])
    assert math.isnan(confusion.mean_iou())
    assert math.isnan(confusion.pixel_accuracy())
    assert math.isnan(boundary_of([[0, 0]], [[0, 0]]).mean())


def test_254_classes_fit() -> None:
    confusion = confusion_of([253, 253, 0], [253, 255, 253], num_classes=254)
    assert confusion.iou()[253] == pytest.approx(1 / 3)


@pytest.mark.parametrize('score', [ConfusionMatrix, BoundaryScore])
def test_another_size_is_refused(score: type[ConfusionMatrix] | type[BoundaryScore]) -> None:
    with pytest.raises(MetricError, match=r'\(2, 3\), the predicted one \(3, 2\)'):
        score(3).add(np.zeros((2, 3), np.uint8), np.zeros((3, 2), np.uint8))


def test_accuracy_is_of_the_true_class() -> None:
    confusion = confusion_of([0, 0, 0, 1, 1, 255], [0, 0, 1, 1, 2, 2])
    # Class 2 has no pixels of its own: no accuracy, but an IoU of 0, as mmsegmentation has it.
    np.testing.assert_allclose(confusion.accuracy(), [2 / 3, 1 / 2, np.nan])
    assert confusion.mean_accuracy() == pytest.approx(7 / 12)
    np.testing.assert_allclose(confusion.iou(), [2 / 3, 1 / 3, 0])
    assert confusion.pixel_accuracy() == pytest.approx(3 / 5)


def boundary_of(true: list[list[int]], predicted: list[list[int]]) -> BoundaryScore:
    boundary = BoundaryScore(3)
    boundary.add(np.array(true, np.uint8), np.array(predicted, np.uint8))
    return boundary


def test_a_boundary_next_to_the_true_one_is_missed_within_a_tolerance_below_a_pixel() -> None:
    boundary = boundary_of([[0, 0, 0, 1, 1, 1]], [[0, 0, 1, 1, 1, 1]])
    # True boundaries: 0 at column 2, 1 at column 3; predicted: 0 at 1, 1 at 2.
    np.testing.assert_allclose(boundary.scores(), [0, 0, np.nan])
    assert boundary.mean() == 0


@pytest.mark.parametrize(('true', 'predicted', 'scores'), [
    # Class 0: the true boundary is column 1, the predicted one (0, 1), (1, 1) and (2, 0).
    # Class 1: the true one is column 2, the predicted one (0, 2), (1, 2) and (2, 1).
    ([[0, 0, 1, 1], [0, 0, 1, 1], [0, 0, 1, 1]], [[0, 0, 1, 1], [0, 0, 1, 1], [0, 1, 1, 1]],
     [2 / 3, 2 / 3, np.nan]),
    # Class 0: true column 1, predicted columns 1 and 3: precision 1/2, recall 1, F 2/3.
    # Class 1: true column 2, predicted column 2.
    ([[0, 0, 1, 1]] * 2, [[0, 0, 1, 0]] * 2, [2 / 3, 1, np.nan]),
    # An unknown prediction has a boundary to a class: 0 right; 1 true at column 2, predicted at 3.
    ([[0, 0, 1, 1]], [[0, 0, 255, 1]], [1, 0, np.nan]),
    # True: none, for 255 lies between. Predicted: 0 at column 0, 1 at column 1.
    ([[0, 0, 255, 1, 1]], [[0, 1, 1, 1, 1]], [0, 0, np.nan]),
    ([[0, 0, 255, 1, 1]], [[0, 0, 1, 1, 1]], [np.nan, np.nan, np.nan])])
def test_precision_and_recall_of_a_boundary(true: list[list[int]], predicted: list[list[int]],
                                            scores: list[float]) -> None:
    np.testing.assert_allclose(boundary_of(true, predicted).scores(), scores)


@pytest.mark.parametrize(('shift', 'expected'), [(4, 1), (5, 0)])
def test_the_tolerance_is_a_share_of_the_diagonal(shift: int, expected: float) -> None:
    true = np.zeros((360, 480), np.uint8)  # a diagonal of 600 and a tolerance of 4.5
    true[:, 240:] = 1
    predicted = np.zeros_like(true)
    predicted[:, 240 + shift:] = 1
    boundary = BoundaryScore(2)
    boundary.add(true, predicted)
    np.testing.assert_allclose(boundary.scores(), [expected, expected])


def test_the_tolerance_is_a_circle() -> None:
    true = np.zeros((360, 480), np.uint8)
    predicted = np.zeros_like(true)
    true[100, 100] = 1
    predicted[103, 103] = 1  # 4.24 away
    true[300, 300] = 2
    predicted[302, 304] = 2  # 4.47 away
    true[200, 400] = 3
    predicted[203, 396] = 3  # 5 away
    boundary = BoundaryScore(4)
    boundary.add(true, predicted)
    np.testing.assert_allclose(boundary.scores()[1:], [1, 1, 0])


def test_boundary_scores_are_means_over_images_with_the_class() -> None:
    boundary = boundary_of([[0, 0, 1, 1]], [[0, 0, 1, 1]])
    boundary.add(np.array([[0, 0, 2, 2]], np.uint8), np.array([[0, 0, 0, 0]], np.uint8))
    np.testing.assert_allclose(boundary.scores(), [1 / 2, 1, 0])
    assert boundary.mean() == pytest.approx(1 / 2)


def test_boundaries_against_the_distances_of_all_pairs() -> None:
    random = np.random.default_rng(0)
    true = np.kron(random.integers(0, 4, (6, 8)), np.ones((40, 40))).astype(np.uint8)
    true[random.random(true.shape) < 0.001] = 255
    predicted = np.roll(true, (2, 1), (0, 1))
    predicted[random.random(true.shape) < 0.001] = 1
    tolerance = 0.0075 * math.hypot(*true.shape)
    expected = []
    for index in range(3):
        near = []
        places = [edge_by_hand(label, index, true < 3) for label in (true, predicted)]
        for one, other in (places, places[::-1]):
            distance = np.linalg.norm(one[:, None] - other[None], axis=2)
            near.append((distance.min(axis=1) < tolerance).mean())
        expected.append(2 * near[0] * near[1] / sum(near))
    boundary = BoundaryScore(3)  # class 3 is no class, in the labels and in the predictions
    boundary.add(true, predicted)
    np.testing.assert_allclose(boundary.scores(), expected, atol=1e-9)
    assert 0.3 < boundary.mean() < 0.9


def edge_by_hand(label: np.ndarray, index: int, known: np.ndarray) -> np.ndarray:
    """Return the pixels, (pixels, 2), of a class beside labelled ones of another."""
    height, width = label.shape
    return np.array([
        (row, column) for row, column in np.argwhere(known & (label == index))
        if any(0 <= y < height and 0 <= x < width and known[y, x] and label[y, x] != index
               for y, x in ((row - 1, column), (row + 1, column),
                            (row, column - 1), (row, column + 1)))])


def test_254_classes_have_boundaries() -> None:
    boundary = BoundaryScore(254)
    label = np.array([[253, 253, 0, 0]], np.uint8)
    boundary.add(label, label)
    assert boundary.scores()[[0, 253]].tolist() == [1, 1]
    assert np.isnan(boundary.scores()[1:253]).all()


def test_the_calibration_error_by_hand() -> None:
    calibration = Calibration()
    calibration.add(np.array([0.9, 0.9, 0.62, 0.65, 0.51]), np.array([1, 0, 1, 1, 0], bool))
    # Bins of 1/15: 0.9 twice, one right; 0.62 and 0.65, both right; 0.51, wrong.
    assert calibration.error() == pytest.approx((0.8 + 0.73 + 0.51) / 5, abs=1e-6)
    np.testing.assert_array_equal(calibration.counts[[7, 9, 13]], [1, 2, 2])
    np.testing.assert_allclose(calibration.accuracy()[[7, 9, 13]], [0, 1, 0.5])
    np.testing.assert_allclose(calibration.confidence()[[7, 9, 13]], [0.51, 0.635, 0.9], atol=1e-6)
    assert np.isnan(calibration.accuracy()[0])


def test_a_bin_holds_its_upper_bound() -> None:
    calibration = Calibration()
    calibration.add(np.array([[0, 1, 17, 18, 34, 238, 239, 255]], np.uint8), np.ones((1, 8), bool))
    np.testing.assert_array_equal(calibration.counts, [3, 2, *[0] * 11, 1, 2])


def test_parts_add_up_to_the_whole_in_any_order() -> None:
    random = np.random.default_rng(0)
    confidence = random.random((4, 1000), np.float32)
    right = random.random((4, 1000)) < confidence
    errors = []
    for order in ([0, 1, 2, 3], [3, 1, 0, 2]):
        calibration = Calibration()
        for part in order:
            calibration.add(confidence[part], right[part])
        errors.append(calibration.error())
    whole = Calibration()
    whole.add(confidence, right)
    assert errors == [whole.error()] * 2
    assert 0 < whole.error() < 0.05


def test_no_confidence_gives_nan() -> None:
    assert math.isnan(Calibration().error())
    with pytest.raises(MetricError, match=r'shape \(3,\), labels of shape \(2,\)'):
        Calibration().add(np.zeros(3), np.zeros(2, bool))
