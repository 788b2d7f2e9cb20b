# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Random crops: image and label stay aligned, ids stay ids."""

import cv2
import numpy as np
import pytest
from segret_train.augmentation import _cut, _disturb, augment, scaled_size
from segret_train.recipe import Recipe

IDS = (0, 7, 10, 255)


def crop_of(image: np.ndarray, label: np.ndarray, crop: tuple[int, int],
            random: np.random.Generator, **values: object) -> tuple[np.ndarray, np.ndarray]:
    """Augment by a recipe of one crop and, on demand, other values."""
    return augment(image, label, Recipe('camvid', crop=crop, **values), random)


def labelled_image(height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Return an image whose brightness encodes its label: bands and columns of ids."""
    cells = np.add.outer(np.arange(height) // 9, np.arange(width) // 7)
    label = np.array(IDS, np.uint8)[cells % 4]
    grey = np.array([40, 90, 140, 190], np.uint8)[np.searchsorted(IDS, label)]
    return np.stack([grey] * 3, axis=-1), label


@pytest.mark.parametrize('size', [(48, 64), (20, 200), (33, 17)])
@pytest.mark.parametrize('crop', [(32, 32), (64, 48)])
def test_crops_have_the_crops_size_and_the_labels_ids(size: tuple[int, int],
                                                      crop: tuple[int, int]) -> None:
    image, label = labelled_image(*size)
    kept = image.copy(), label.copy()
    for seed in range(20):
        pixels, ids = crop_of(image, label, crop, np.random.default_rng(seed))
        assert pixels.shape == (*crop, 3)
        assert ids.shape == crop
        assert pixels.dtype == ids.dtype == np.uint8
        assert set(np.unique(ids)) <= set(IDS)
    assert np.array_equal(image, kept[0]) and np.array_equal(label, kept[1])  # unchanged


def test_padding_is_black_and_ignored() -> None:
    image, label = np.full((16, 16, 3), 200, np.uint8), np.zeros((16, 16), np.uint8)
    label[:, ::2] = 1
    for seed in range(10):
        pixels, ids = crop_of(image, label, (64, 64), np.random.default_rng(seed))
        rows, columns = np.nonzero(ids != 255)
        height, width = rows.max() + 1, columns.max() + 1
        assert 8 <= height == width <= 32  # scaled by 0.5 to 2
        assert (ids[:height, :width] != 255).all()
        assert pixels[:height, :width].min() > 0
        assert not pixels[height:].any() and not pixels[:, width:].any()


def test_image_and_label_move_together() -> None:
    """The crop's brightness, monotonous in that of the image, must tell the label apart."""
    image, label = labelled_image(90, 120)
    for seed in range(20):
        pixels, ids = crop_of(image, label, (64, 64), np.random.default_rng(seed))
        inner = cv2.erode((ids == 0).astype(np.uint8), np.ones((5, 5), np.uint8)) == 1
        others = cv2.erode((ids == 10).astype(np.uint8), np.ones((5, 5), np.uint8)) == 1
        if inner.any() and others.any():
            assert pixels[inner].max() < pixels[others].min()


def test_half_of_the_crops_are_mirrored() -> None:
    label = np.tile(np.arange(64, dtype=np.uint8), (64, 1))
    image = np.stack([label] * 3, axis=-1)
    mirrored = 0
    for seed in range(100):
        ids = crop_of(image, label, (32, 32), np.random.default_rng(seed))[1][0].astype(int)
        ids = ids[ids != 255]
        assert (np.diff(ids) >= 0).all() or (np.diff(ids) <= 0).all()
        mirrored += ids[0] > ids[-1]
    assert 30 < mirrored < 70


def test_scales_span_half_to_double() -> None:
    label = np.zeros((40, 40), np.uint8)
    label[:, ::2] = 1
    image = np.full((40, 40, 3), 9, np.uint8)
    crops = [crop_of(image, label, (100, 100), np.random.default_rng(seed)) for seed in range(100)]
    sides = [np.count_nonzero((ids != 255).any(axis=1)) for _, ids in crops]
    assert 20 <= min(sides) < 26
    assert 74 < max(sides) <= 80


def test_no_class_takes_more_than_its_share_of_a_crop() -> None:
    """Of crops taken blindly from these bands, 40 % would hold too much of one class."""
    label = np.tile((np.arange(144) // 24 % 2).astype(np.uint8), (144, 1))
    image = np.zeros((144, 144, 3), np.uint8)
    crops = [crop_of(image, label, (32, 32), np.random.default_rng(seed))[1]
             for seed in range(200)]
    shares = [np.bincount(ids.ravel()).max() / ids.size for ids in crops]
    assert sum(share >= 0.75 for share in shares) <= 8  # ten tries miss in 1 % of the cases
    alone = crop_of(image, np.full_like(label, 3), (16, 16), np.random.default_rng(0))[1]
    assert (alone == 3).all()


def test_a_crop_is_a_function_of_its_seed() -> None:
    image, label = labelled_image(48, 64)
    first, again, other = (crop_of(image, label, (32, 32), np.random.default_rng(seed))
                           for seed in (1, 1, 2))
    np.testing.assert_array_equal(first[0], again[0])
    np.testing.assert_array_equal(first[1], again[1])
    assert not np.array_equal(first[0], other[0])


def test_colours_change_and_stay_within_their_ranges() -> None:
    image, label = np.full((32, 32, 3), 100, np.uint8), np.zeros((32, 32), np.uint8)
    means = [crop_of(image, label, (16, 16), np.random.default_rng(seed))[0].mean()
             for seed in range(100)]
    assert len(set(means)) > 30
    assert (100 - 32) * 0.5 - 1 <= min(means) < 80  # the darkest: brightness, then contrast
    assert 130 < max(means) <= (100 + 32) * 1.5 + 1


def test_a_window_is_that_of_the_whole_resized_image() -> None:
    """Scaled by 2 without any distortion, a crop is cv2.resize's, cut out."""
    random = np.random.default_rng(0)
    image = cv2.GaussianBlur(random.integers(0, 256, (24, 32, 3), dtype=np.uint8), (0, 0), 1)
    label = random.integers(0, 3, (24, 32), dtype=np.uint8)
    ids = crop_of(image, label, (48, 64), np.random.default_rng(3), scale_range=(2, 2))[1]
    doubled = np.kron(label, np.ones((2, 2), np.uint8))
    assert np.array_equal(ids, doubled) or np.array_equal(ids, doubled[:, ::-1])
    cut = _cut(image, (48, 64), (7, 11), (30, 40)).astype(int)
    resized = cv2.resize(image, (64, 48), interpolation=cv2.INTER_LINEAR)[7:37, 11:51]
    assert np.abs(cut - resized).max() <= 2


@pytest.mark.parametrize(('size', 'short_side', 'expected'), [
    ((360, 480), None, (360, 480)), ((360, 480), 512, (512, 683)),
    ((300, 3000), 512, (205, 2048)), ((1024, 512), 640, (1280, 640)),
    ((300, 3000), 640, (205, 2048))])
def test_images_are_resized_to_a_short_side(size: tuple[int, int], short_side: int | None,
                                            expected: tuple[int, int]) -> None:
    assert scaled_size(size, short_side) == expected


def test_crops_start_at_the_short_side() -> None:
    label = np.add.outer(np.arange(40), np.arange(80)).astype(np.uint8) % 2
    ids = crop_of(np.zeros((40, 80, 3), np.uint8), label, (64, 64), np.random.default_rng(0),
                  short_side=20, scale_range=(1, 1))[1]
    assert (ids != 255).any(1).sum() == 20 and (ids != 255).any(0).sum() == 40


def test_rare_classes_are_sought() -> None:
    """One pixel in 4096 is in a quarter of the crops, and in half of those that seek it."""
    label = np.zeros((64, 64), np.uint8)
    label[50, 9] = 2
    image = np.zeros((64, 64, 3), np.uint8)
    shares = [np.mean([(crop_of(image, label, (32, 32), np.random.default_rng(seed),
                                scale_range=(1, 1), rare_class_crops=chance)[1] == 2).any()
                       for seed in range(200)]) for chance in (0, 1)]
    assert shares[0] < 0.45
    assert 0.5 < shares[1]
    assert shares[1] > shares[0] + 0.15


@pytest.mark.parametrize(('values', 'low', 'high'), [
    ({'low_light': 1}, 10, 85), ({'gamma': 1}, 30, 170), ({'white_balance': 0.3}, 60, 140)])
def test_light_changes_on_demand(values: dict, low: int, high: int) -> None:
    means = [_disturb(np.full((8, 8, 3), 100, np.uint8), Recipe('camvid', **values),
                      np.random.default_rng(seed)).mean() for seed in range(50)]
    assert low < min(means) and max(means) < high
    assert max(means) > 1.3 * min(means)


@pytest.mark.parametrize('name', ['blur', 'noise'])
def test_sharpness_and_noise_change_on_demand(name: str) -> None:
    image = np.zeros((16, 16, 3), np.uint8)
    image[:, 8:] = 200
    changed = _disturb(image, Recipe('camvid', **{name: 10}), np.random.default_rng(0))
    assert changed.shape == image.shape and changed.dtype == np.uint8
    assert not np.array_equal(changed, image)
    assert np.array_equal(_disturb(image, Recipe('camvid'), np.random.default_rng(0)), image)
