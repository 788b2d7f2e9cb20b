# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Plots of long series keep what matters, and their axes hold all values."""

import numpy as np
import pytest
from segret_ros.offline.plots import band_path, downsample, line_path, share_axis, time_axis


def test_few_values_stay_as_they_are() -> None:
    band = downsample(np.arange(5.0), np.array([1, np.nan, 3, 4, 5]))
    np.testing.assert_array_equal(band.mean, [1, np.nan, 3, 4, 5])
    np.testing.assert_array_equal(band.low, band.high)


def test_of_many_values_means_and_extremes_are_kept() -> None:
    values = np.full(10_000, 0.5)
    values[[17, 9_000]] = 0.0, 1.0
    band = downsample(np.arange(10_000.0), values, points=100)
    assert len(band.x) == 100
    assert (band.low.min(), band.high.max()) == (0, 1)
    assert band.mean[0] == pytest.approx(0.495) and band.mean[50] == 0.5
    assert band.x[0] == pytest.approx(49.5)


@pytest.mark.parametrize('values', [[], [0.0], [1.0], [np.nan], [0.97, 0.9801], [0.0, 1.0],
                                    [1e-5, 3e-5]])
@pytest.mark.parametrize('from_zero', [True, False])
def test_an_axis_holds_all_values_within_0_and_1(values: list[float], from_zero: bool) -> None:
    axis, marks = share_axis(np.array(values), from_zero)
    assert 0 <= axis.low < axis.high <= 1 + 1e-9
    known = [value for value in values if value == value]
    assert all(axis.low <= value <= axis.high for value in known)
    assert axis.low == 0 or not from_zero
    assert len(marks) >= 2 and marks[0].place == 0 and marks[-1].place == pytest.approx(1)
    assert len({mark.text for mark in marks}) == len(marks)


@pytest.mark.parametrize('duration_s', [0, 0.3, 6.7, 119, 3600, 100_000])
def test_a_time_axis_has_few_steps_in_order(duration_s: float) -> None:
    _, marks = time_axis(duration_s)
    places = [mark.place for mark in marks]
    assert 1 <= len(marks) <= 11
    assert places == sorted(set(places)) and places[0] == 0 and places[-1] <= 1 + 1e-9


def test_times_are_in_the_unit_of_their_axis() -> None:
    assert [mark.text for mark in time_axis(6.7)[1]][:2] == ['0 s', '1 s']
    assert [mark.text for mark in time_axis(5400)[1]] == [
        '0 min', '10 min', '20 min', '30 min', '40 min', '50 min', '1 h', '1:10 h', '1:20 h',
        '1:30 h']
    assert [mark.text for mark in time_axis(30_000)[1]][:3] == ['0 h', '1 h', '2 h']


def test_a_line_has_gaps_and_a_lonely_point_is_a_dot() -> None:
    x, y = np.array([0, 0.01, 0.02, 0.03, 1.0]), np.array([0, 1, np.nan, 0.5, 0.5])
    assert line_path(x, y) == 'M0 300l10 -300M30 150h0M1000 150h0'
    assert band_path(x[:2], y[:2] * 0, y[:2]) == 'M0 300l10 -300 0 300 -10 0z'
