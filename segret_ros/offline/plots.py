# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
Plots of a page: as wide as the screen, with text that keeps its size.

The shapes are an SVG that is stretched to its frame, the text around it is HTML.
"""

from dataclasses import dataclass, field
import math

import numpy as np
from segret_ros.offline.charts import ticks

WIDTH, HEIGHT = 1000, 300  # units of a plot
POINTS = 400  # at most of a line
LONGEST_STEP = 10  # times the usual one: more is a gap in the line
TIME_STEPS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 21600,
              43200, 86400)  # s


@dataclass(frozen=True)
class Tick:
    """
    A mark on an axis.

    :param place: 0 left or below, 1 right or above.
    :param minor: left out where there is little room.
    """

    place: float
    text: str
    minor: bool = False


@dataclass(frozen=True)
class Shape:
    """
    A part of a plot.

    :param path: of SVG, in its units.
    :param kind: its style: `line`, `band`, `bar`, `area`, `dot`, `guide`, `change`, `problem`,
        `border`.
    :param color: as CSS writes it; that of its kind if empty.
    :param text: what a pointer over it shows.
    """

    path: str
    kind: str
    color: str = ''
    text: str = ''


@dataclass(frozen=True)
class Plot:
    """
    A plot.

    :param note: what is shown and in which unit, beside the title.
    """

    title: str
    note: str
    x_ticks: list[Tick]
    y_ticks: list[Tick]
    shapes: list[Shape] = field(default_factory=list)


@dataclass(frozen=True)
class Band:
    """
    Values in order, few enough to be drawn: (points,) float64 each; NaN where there is none.

    :param x: the middle of each group of values.
    :param low, mean, high: of each group.
    """

    x: np.ndarray
    low: np.ndarray
    mean: np.ndarray
    high: np.ndarray


def downsample(x: np.ndarray, values: np.ndarray, points: int = POINTS) -> Band:
    """
    Give values in groups of consecutive ones; the smallest and the largest stay.

    :param x, values: (count,), x ascending; NaN among the values does not count.
    """
    starts = group_starts(len(x), points)
    if not len(starts):
        return Band(*[np.zeros(0)] * 4)
    values = values.astype(np.float64)
    known = ~np.isnan(values)
    counts = np.add.reduceat(known, starts, dtype=np.int64)
    sums = np.add.reduceat(np.where(known, values, 0), starts)
    sizes = np.diff(np.append(starts, len(x)))
    return Band(np.add.reduceat(x, starts) / sizes,
                np.fmin.reduceat(values, starts),
                np.divide(sums, counts, out=np.full(len(starts), np.nan), where=counts > 0),
                np.fmax.reduceat(values, starts))


def group_starts(count: int, points: int = POINTS) -> np.ndarray:
    """Give where each of at most `points` groups of about equal size begins."""
    return np.unique(np.linspace(0, count, min(count, points), endpoint=False).astype(np.int64))


def line_path(x: np.ndarray, y: np.ndarray) -> str:
    """
    Give a line, with gaps where y is NaN and where x leaps.

    :param x, y: (points,) 0..1, from the lower left corner.
    """
    return ''.join(_steps(x[run], y[run]) or '' for run in _runs(x, ~np.isnan(y)))


def band_path(x: np.ndarray, low: np.ndarray, high: np.ndarray) -> str:
    """Give the area between two lines, with the gaps of `line_path`."""
    path = ''
    for run in _runs(x, ~np.isnan(low)):
        there, back = x[run], x[run][::-1]
        path += _steps(np.append(there, back), np.append(high[run], low[run][::-1])) + 'z'
    return path


def box_path(left: float, right: float, low: float, high: float) -> str:
    """Give a rectangle, 0..1 from the lower left corner."""
    return _steps(np.array([left, left, right, right]), np.array([low, high, high, low])) + 'z'


def _runs(x: np.ndarray, known: np.ndarray) -> list[slice]:
    """Give the parts of a line: known, and without a leap between two points."""
    steps = np.diff(x)
    usual = np.median(steps) if len(steps) else 0
    breaks = ~known[1:] | ~known[:-1] | (steps > LONGEST_STEP * usual)
    edges = [0, *(np.flatnonzero(breaks) + 1), len(x)]
    return [slice(first, last) for first, last in zip(edges, edges[1:])
            if last > first and known[first]]


def _steps(x: np.ndarray, y: np.ndarray) -> str:
    """Give a path from point to point in whole units; a single point becomes a dot."""
    places = np.column_stack([np.rint(x * WIDTH), np.rint((1 - y) * HEIGHT)]).astype(int)
    moves = np.diff(places, axis=0)
    start = f'M{places[0][0]} {places[0][1]}'
    return f'{start}l{" ".join(map(str, moves.ravel()))}' if len(moves) else f'{start}h0'


@dataclass(frozen=True)
class Axis:
    """The values from one end of an axis to the other."""

    low: float
    high: float

    def place(self, values: np.ndarray | float) -> np.ndarray | float:
        """Give where values lie, 0..1."""
        return (values - self.low) / (self.high - self.low)


def share_axis(values: np.ndarray, from_zero: bool = False) -> tuple[Axis, list[Tick]]:
    """
    Give an axis of percent with round ends that holds all values, 0..1; NaN does not count.

    :param from_zero: begin at zero, as what is drawn as bars must.
    """
    values = values[~np.isnan(values)]
    low, high = (float(values.min()), float(values.max())) if len(values) else (0.0, 1.0)
    low = 0.0 if from_zero else low
    step = _step(max(high - low, 0.001))
    low = min(max(math.floor(low / step + 1e-6) * step, 0.0), 1 - step)
    marks = [mark for mark in ticks(low, max(high, low + step)) if mark <= 1 + 1e-9]
    if marks[-1] < high - 1e-9 or len(marks) < 2:
        marks.append(1.0)
    axis = Axis(marks[0], marks[-1])
    return axis, [Tick(axis.place(mark), percent(mark)) for mark in marks]


def _step(span: float) -> float:
    marks = ticks(0, span)
    return marks[1] - marks[0]


def percent(share: float) -> str:
    """Give a share 0..1 in as few digits as it needs."""
    return f'{round(100 * share, 4):.6g} %'


def time_axis(duration_s: float, most: int = 10) -> tuple[Axis, list[Tick]]:
    """Give an axis of time from zero with at most `most` steps."""
    duration_s = duration_s or 1.0
    step = next((step for step in TIME_STEPS if duration_s / step <= most),
                math.ceil(duration_s / most / TIME_STEPS[-1]) * TIME_STEPS[-1])
    axis = Axis(0.0, duration_s)
    marks = [number * step for number in range(int(duration_s / step + 1e-9) + 1)]
    return axis, [Tick(axis.place(mark), clock(mark, step), number % 2 == 1)
                  for number, mark in enumerate(marks)]


def clock(seconds: float, step: float) -> str:
    """Give a time of an axis in the unit that suits its step."""
    if step < 60:
        return f'{round(seconds, 3):g} s'
    hours, minutes = divmod(round(seconds / 60), 60)
    if step >= 3600:
        return f'{hours} h'
    return f'{minutes} min' if not hours else f'{hours} h' if not minutes else (
        f'{hours}:{minutes:02d} h')
