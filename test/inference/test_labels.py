# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Labels and confidence against PyTorch's interpolation, argmax and softmax."""

import cv2
import numpy as np
import pytest
from segret_ros.files.share import default_model
from segret_ros.inference import Model
from segret_ros.inference.confidence import confidence_of
from segret_ros.inference.engines.engine import open_engine
from segret_ros.inference.labels import Blocks
import torch
from torch.nn import functional

SIZES = [(360, 480), (361, 479), (90, 120), (89, 121), (31, 200), (20, 17), (1, 1), (1, 300),
         (300, 1)]
GRIDS = [(1, 1), (1, 9), (9, 1), (2, 2), (13, 17)]
CERTAIN = 1e-5  # two resized logits closer than that are equal, as far as float32 can tell


@pytest.fixture(scope='module')
def real_logits(frames: list[np.ndarray]) -> list[np.ndarray]:
    """Compute the shipped model's logits of frames of the sample drive, (11, 90, 120) each."""
    model = Model.load(default_model())
    engine = open_engine(model, 'cpu')
    return [engine.run(cv2.resize(frame, model.info.input_size[::-1])) for frame in frames[::4]]


def noise(classes: int, grid: tuple[int, int], spread: float = 2) -> np.ndarray:
    """Make logits whose cells are independent of their neighbours."""
    return np.random.default_rng(classes).normal(0, spread, (classes, *grid)).astype(np.float32)


def reference(logits: np.ndarray, size: tuple[int, int]) -> tuple[np.ndarray, ...]:
    """Compute label, 255 * probability, and where rounding can't change the label."""
    resized = functional.interpolate(torch.from_numpy(logits.copy())[None], size, mode='bilinear',
                                     align_corners=False)[0]
    probability, label = resized.softmax(0).max(0)
    largest = resized.topk(min(2, len(resized)), dim=0).values
    certain = (largest[0] - largest[-1] > CERTAIN) | (len(resized) == 1)
    return label.numpy(), probability.numpy() * 255, certain.numpy()


def check(logits: np.ndarray, size: tuple[int, int], largest_error: float) -> np.ndarray:
    """Compare with the reference; give the errors of the confidence."""
    label, probability, certain = reference(logits, size)
    blocks = Blocks(logits, size)
    found, confidence = blocks.labels(), confidence_of(blocks)
    assert found.shape == confidence.shape == size
    assert found.dtype == confidence.dtype == np.uint8
    np.testing.assert_array_equal(found[certain], label[certain])
    error = confidence - probability
    assert error.max() <= 0.52  # of rounding: never more confident
    assert error.min() >= -largest_error
    return error


@pytest.mark.parametrize('size', [(1080, 1920), (720, 1280), (360, 480)])
def test_real_frames(real_logits: list[np.ndarray], size: tuple[int, int]) -> None:
    assert len(real_logits) >= 3
    for logits in real_logits:
        label, probability, certain = reference(logits, size)
        assert certain.mean() > 0.999
        assert len(np.unique(label)) >= 5  # the comparison means something
        assert np.ptp(probability) > 150
        error = check(logits, size, largest_error=4)
        assert np.abs(error).mean() < 0.3
        assert np.percentile(np.abs(error), 99.9) < 1.5


@pytest.mark.parametrize('size', SIZES)
def test_sizes(real_logits: list[np.ndarray], size: tuple[int, int]) -> None:
    check(real_logits[0], size, largest_error=4)


@pytest.mark.parametrize('size', [(1, 1), (5, 7), (47, 101), (13, 17)])
@pytest.mark.parametrize('grid', GRIDS)
def test_small_grids(grid: tuple[int, int], size: tuple[int, int]) -> None:
    check(noise(4, grid), size, largest_error=4)


@pytest.mark.parametrize('classes', [2, 11, 19, 150, 255])
def test_noise(classes: int) -> None:
    error = check(noise(classes, (24, 33)), (190, 250), largest_error=4)
    assert np.abs(error).mean() < 0.4


def test_random_walks_of_close_classes() -> None:
    logits = np.cumsum(noise(19, (40, 60), spread=0.4), axis=2)
    error = check(logits, (321, 477), largest_error=4)
    assert np.abs(error).mean() < 0.4


def test_one_class_is_certain_everywhere() -> None:
    blocks = Blocks(noise(1, (5, 6)), (37, 53))
    assert not blocks.labels().any()
    assert (confidence_of(blocks) == 255).all()


def test_the_first_of_equal_classes_wins() -> None:
    logits = noise(3, (6, 7))[[2, 0, 1, 0, 1, 2]]
    blocks = Blocks(logits, (45, 50))
    label = blocks.labels()
    np.testing.assert_array_equal(np.unique(label), [0, 1, 2])
    np.testing.assert_array_equal(label, Blocks(logits[:3], (45, 50)).labels())
    probability = reference(logits, (45, 50))[1]
    assert np.abs(confidence_of(blocks) - probability).max() <= 4
    assert confidence_of(blocks).max() <= 128  # each has its twin


@pytest.mark.parametrize(('spread', 'largest_error'), [(0, 0.52), (0.01, 0.52), (15, 16)])
def test_weak_and_steep_logits(spread: float, largest_error: float) -> None:
    error = check(noise(5, (19, 21), spread), (140, 170), largest_error)
    assert np.abs(error).mean() < 0.52


def test_extreme_logits_give_a_sound_confidence() -> None:
    logits = noise(5, (9, 11), spread=1000)
    with np.errstate(all='raise'):
        blocks = Blocks(logits, (70, 90))
        label, confidence = blocks.labels(), confidence_of(blocks)
    expected, _, certain = reference(logits, (70, 90))
    np.testing.assert_array_equal(label[certain], expected[certain])
    assert confidence.min() >= 255 // 5  # no winner of five has less


@pytest.mark.parametrize('change', [
    lambda logits: np.ascontiguousarray(logits.transpose(1, 2, 0)).transpose(2, 0, 1),
    np.asfortranarray,
    lambda logits: np.repeat(logits, 2, axis=2)[:, :, ::2],
    lambda logits: np.ascontiguousarray(logits[:, ::-1])[:, ::-1],
])
def test_memory_layout_does_not_matter(change) -> None:
    logits = noise(6, (14, 15))
    changed = change(logits)
    assert not changed.flags.c_contiguous
    before = changed.copy()
    expected, found = Blocks(logits, (99, 111)), Blocks(changed, (99, 111))
    np.testing.assert_array_equal(found.labels(), expected.labels())
    np.testing.assert_array_equal(confidence_of(found), confidence_of(expected))
    np.testing.assert_array_equal(changed, before)


def test_a_damaged_logit_stays_where_it_is() -> None:
    logits = noise(4, (20, 20))
    size = (160, 160)
    expected = Blocks(logits, size)
    damaged = logits.copy()
    damaged[1, 3, 3] = np.nan
    with np.errstate(invalid='ignore'):
        found = Blocks(damaged, size)
        label, confidence = found.labels(), confidence_of(found)
    np.testing.assert_array_equal(label[40:, 40:], expected.labels()[40:, 40:])
    np.testing.assert_array_equal(confidence[40:, 40:], confidence_of(expected)[40:, 40:])
