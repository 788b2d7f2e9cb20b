# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Plots of long series keep their extremes, on readable time axes."""

import numpy as np
import pytest
from segret_ros.offline.evaluation.report_plots import clock, downsample, time_marks, with_gaps


def test_few_values_stay_as_they_are() -> None:
    low, mean, high = downsample(np.array([1, np.nan, 3, 4, 5]))
    np.testing.assert_array_equal(mean, [1, np.nan, 3, 4, 5])
    np.testing.assert_array_equal(low, high)


def test_many_values_keep_their_means_and_extremes() -> None:
    values = np.full(10_000, 0.5)
    values[[17, 9_000]] = 0.0, 1.0
    low, mean, high = downsample(values, points=100)
    assert len(mean) == 100
    assert (low.min(), high.max()) == (0, 1)
    assert mean[0] == pytest.approx(0.495) and mean[50] == 0.5


@pytest.mark.parametrize('duration_s', [0, 0.3, 6.7, 119, 3600, 100_000])
def test_a_time_axis_has_few_ascending_ticks(duration_s: float) -> None:
    marks, _ = time_marks(duration_s)
    assert 1 <= len(marks) <= 11
    assert marks == sorted(set(marks)) and marks[0] == 0 and marks[-1] <= (duration_s or 1) + 1e-9


def texts(duration_s: float) -> list[str]:
    marks, step = time_marks(duration_s)
    return [clock(mark, step) for mark in marks]


def test_times_are_in_the_unit_of_their_axis() -> None:
    assert texts(6.7)[:2] == ['0 s', '1 s']
    assert texts(5400) == ['0 min', '10 min', '20 min', '30 min', '40 min', '50 min', '1 h',
                           '1:10 h', '1:20 h', '1:30 h']
    assert texts(30_000)[:3] == ['0 h', '1 h', '2 h']


def test_a_line_breaks_where_time_jumps() -> None:
    x, y = np.array([0, 0.01, 0.02, 0.03, 1.0]), np.array([0, 1, np.nan, 0.5, 0.5])
    gaps, values = with_gaps(x, y)
    np.testing.assert_array_equal(gaps, [0, 0.01, 0.02, 0.03, 1, 1])
    np.testing.assert_array_equal(values, [0, 1, np.nan, 0.5, np.nan, 0.5])
