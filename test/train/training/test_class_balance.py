# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Weights that make rare classes count for more."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from segret_train.datasets import open_data_set, Sample
from segret_train.training.loss import balanced_weights


@pytest.fixture
def samples(camvid_tree: Path) -> list[Sample]:
    """Return a split with 1,000 labelled pixels per image: 900 of class 0, 90 of 1, 10 of 2."""
    label = np.repeat(np.array([0, 1, 2, 11], np.uint8), [900, 90, 10, 200]).reshape(30, 40)
    for path in (camvid_tree / 'labels' / 'train').iterdir():
        cv2.imwrite(str(path), label)
        cv2.imwrite(str(camvid_tree / 'images' / 'train' / f'{path.stem}.jpg'),
                    np.zeros((30, 40, 3), np.uint8))
    return open_data_set('camvid', camvid_tree).samples('train')


def test_rare_classes_weigh_more_and_the_mean_over_pixels_is_one(samples: list[Sample]) -> None:
    weights = balanced_weights(samples, 11, balance=0.5)
    assert weights[1] / weights[0] == pytest.approx(10 ** 0.5)
    assert weights[2] / weights[0] == pytest.approx(90 ** 0.5)
    assert np.dot(weights[:3], [0.9, 0.09, 0.01]) == pytest.approx(1)
    assert np.isfinite(weights).all()  # those of classes without a pixel too


def test_no_balance_is_no_weight(samples: list[Sample]) -> None:
    assert balanced_weights(samples, 3, balance=0) == pytest.approx([1, 1, 1])
