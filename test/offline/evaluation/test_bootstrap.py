# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Intervals of differences: blocks, draws, and how often they cover the truth."""

import numpy as np
import pytest
from segret_ros.offline.evaluation.differences import Blocks, interval, resample, student_quantile

SECOND = 1_000_000_000


def blocks_of(count: int, frames: int) -> Blocks:
    """Return blocks of so many frames each, of one camera."""
    return Blocks(np.zeros(count * frames, int), np.arange(count * frames) * SECOND // frames)


def test_a_block_is_a_second_of_a_drive() -> None:
    stamps = np.array([7.5, 8.4, 8.6, 9.2, 12, 1.5, 2.4, 2.6, 5, 5]) * SECOND
    blocks = Blocks(np.array([0, 0, 0, 0, 0, 1, 1, 1, 2, 3]), stamps.astype(np.int64))
    values = np.arange(1, 11)[:, None] * [[1, 10]]
    # From the drive's first stamp: 7.5 and 8.4, 8.6 and 9.2, 12; 1.5 and 2.4, 2.6; 5; 5.
    assert blocks.sums(values)[:, 0].tolist() == [3, 7, 5, 13, 8, 9, 10]
    assert blocks.sums(values)[:, 1].tolist() == [30, 70, 50, 130, 80, 90, 100]


def test_cameras_of_a_drive_share_their_blocks() -> None:
    stamps = np.array([1.0, 1.5, 2.2, 1.1, 1.6, 2.3]) * SECOND  # of two cameras, one by one
    blocks = Blocks(np.zeros(6, int), stamps.astype(np.int64))
    assert blocks.sums(np.array([[1], [2], [4], [8], [16], [32]])).ravel().tolist() == [27, 36]


def test_draws_are_multinomial_and_the_same_for_all_columns() -> None:
    drawn = resample(np.eye(50))
    assert set(drawn.sum(1)) == {50}
    assert drawn.mean(0) == pytest.approx(np.ones(50), abs=0.15)
    assert drawn.var() == pytest.approx(1 - 1 / 50, abs=0.02)
    np.testing.assert_array_equal(drawn, resample(np.eye(50)))


def test_many_blocks_are_drawn_in_parts() -> None:
    drawn = resample(np.ones((100_000, 1)))
    assert drawn.shape == (1000, 1) and set(drawn[:, 0]) == {100_000}


def test_students_t() -> None:
    assert [student_quantile(0.975, freedom) for freedom in (4, 9, 100)] == pytest.approx(
        [2.776, 2.262, 1.984], rel=0.003)


def test_few_blocks_have_no_interval() -> None:
    assert interval(np.arange(1000.0), 4) is None
    few, many = (interval(np.arange(1000.0), blocks) for blocks in (5, 10_000))
    assert many == pytest.approx((24.98, 974.02), abs=0.3)
    assert few == pytest.approx((0.98, 998.02), abs=0.1)  # t of 2.77, times the root of 5 / 4


def share_wrong(random: np.random.Generator, blocks: int, frames: int) -> np.ndarray:
    """Return differences of frames, (frames,): alike within a block, of mean zero."""
    scene = np.repeat(random.normal(size=blocks), frames)
    return scene + 0.3 * random.normal(size=scene.size)


@pytest.mark.parametrize('blocks', [7, 40])
def test_intervals_cover_the_truth_as_often_as_they_claim(blocks: int) -> None:
    random = np.random.default_rng(2)
    covered = 0
    for _ in range(400):
        drawn = resample(blocks_of(blocks, 10).sums(share_wrong(random, blocks, 10)[:, None]))
        low, high = interval(drawn[:, 0], blocks)
        covered += low <= 0 <= high
    assert 0.92 <= covered / 400 <= 0.98


def test_blocks_are_wider_than_frames_alone() -> None:
    values = share_wrong(np.random.default_rng(3), 40, 10)[:, None]
    width = {}
    for name, blocks in (('blocks', blocks_of(40, 10)), ('frames', blocks_of(400, 1))):
        low, high = interval(resample(blocks.sums(values))[:, 0], len(blocks))
        width[name] = high - low
    # Ten frames of a block tell hardly more than one: wider by nearly the root of ten.
    assert 2.5 < width['blocks'] / width['frames'] < 3.7
