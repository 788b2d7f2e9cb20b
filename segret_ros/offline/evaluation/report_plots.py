# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""The plots of an evaluation's page."""

from collections.abc import Mapping, Sequence
import math

import numpy as np
from segret_ros.offline.charts import (
    as_svg,
    Axes,
    BLUE,
    FAINT,
    Figure,
    INK,
    new_figure,
    ORANGE,
    percent,
    RED,
    share_axis,
    tip,
)
from segret_ros.offline.evaluation.output import Json, time_text, Timeline

LARGEST_AREAS = 12  # classes with an area of their own; the others share one
OTHER, UNKNOWN = 'other classes', 'unknown'
OTHER_COLOR, UNKNOWN_COLOR = '#8a939d', '#000000'
POINTS = 400  # most of a line
MARKS = 200  # most of one kind over a drive
MOST_BORDERS = 40  # bags whose starts are marked
LONGEST_STEP = 10  # times the median; a longer one is a gap in the line
TIME_STEPS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 21600,
              43200, 86400)  # s
LEAST_PIXELS = 0.001  # share of the pixels; bars of fewer are faint
WIDTH, SQUARE, TITLE = 1068, 420, 30  # pixels: a drive's plots, a histogram, a title
LOW, HIGH = 140, 240  # pixels of a plot's height: of a column, of the class areas
SERIES = {  # title and note of a column, and whether its axis starts at zero
    'miou': ('Mean IoU of each frame', 'of the classes in it', False),
    'stability': ('Stability', 'pixels that keep their class from the frame before', False),
    'confidence': ('Confidence', 'mean of the frame', False),
    'flicker': ('Flicker', 'pixels that change their class and change back', True)}
Columns = Mapping[str, np.ndarray]


@as_svg
def drive_plots(columns: Columns, driven_s: np.ndarray, times: Timeline, names: Sequence[str],
                colors: Mapping[str, str]) -> Figure:
    """
    Draw a camera's values and class areas over the drive; columns without values are left out.

    :param columns: of the camera's frames.
    :param driven_s: (frames,) float64, of the same frames.
    :param colors: of all classes, in CSS notation.
    """
    series = [name for name in SERIES if not np.isnan(columns[name]).all()]
    layers = area_layers(columns, names)
    heights = [LOW] * len(series) + [HIGH] * bool(layers)
    figure = new_figure(WIDTH, sum(heights) + TITLE)
    if not heights:
        figure.text(0, 0.5, 'no values', color=FAINT)
        return figure
    panels = figure.subplots(len(heights), squeeze=False,
                             gridspec_kw={'height_ratios': heights})[:, 0]
    for panel, name in zip(panels, series):
        _draw_series(panel, driven_s, columns[name], *SERIES[name])
        _draw_marks(panel, columns, driven_s, times)
    if layers:
        _draw_areas(panels[-1], driven_s, layers, colors)
    marks, step = time_marks(times.duration_s)
    for panel in panels:
        panel.set_xlim(0, times.duration_s or 1.0)
        panel.set_xticks(marks, [clock(mark, step) for mark in marks])
        _draw_borders(panel, times)
    return figure


def _titled(axes: Axes, title: str, note: str) -> None:
    axes.set_title(title)
    axes.set_title(note, loc='right', color=FAINT, fontweight='normal')


def _draw_series(axes: Axes, driven_s: np.ndarray, values: np.ndarray, title: str, note: str,
                 from_zero: bool) -> None:
    low, mean, high = downsample(values)
    x = downsample(driven_s)[1]
    share_axis(axes, np.append(low, high), from_zero)
    x, low, mean, high = with_gaps(x, low, mean, high)
    if len(driven_s) > POINTS:
        axes.fill_between(x, low, high, color=BLUE, alpha=0.22, linewidth=0)
        note += '; mean, with minimum and maximum'
    axes.plot(x, mean, color=BLUE)
    known = np.pad(~np.isnan(mean), 1)
    lonely = known[1:-1] & ~known[:-2] & ~known[2:]
    axes.plot(x[lonely], mean[lonely], 'o', color=BLUE, markersize=3)
    _titled(axes, title, note)


def downsample(values: np.ndarray, points: int = POINTS) -> tuple[np.ndarray, ...]:
    """
    Return the minimum, mean and maximum of at most `points` groups of consecutive values.

    :param values: (count,); NaN is ignored.
    :return: (groups,) float64 each; NaN for a group without values.
    """
    starts = np.unique(np.linspace(0, len(values), min(len(values), points), endpoint=False
                                   ).astype(np.int64))
    values = values.astype(np.float64)
    known = ~np.isnan(values)
    counts = np.add.reduceat(known, starts, dtype=np.int64)
    sums = np.add.reduceat(np.where(known, values, 0), starts)
    means = np.divide(sums, counts, out=np.full(len(starts), np.nan), where=counts > 0)
    return np.fmin.reduceat(values, starts), means, np.fmax.reduceat(values, starts)


def with_gaps(x: np.ndarray, *values: np.ndarray) -> list[np.ndarray]:
    """Insert a NaN into the values wherever x jumps, so that a line breaks there."""
    if len(x) < 2:
        return [x, *values]
    steps = np.diff(x)
    leaps = np.flatnonzero(steps > LONGEST_STEP * np.median(steps)) + 1
    return [np.insert(x, leaps, x[leaps]), *(np.insert(each, leaps, np.nan) for each in values)]


def _draw_marks(axes: Axes, columns: Columns, driven_s: np.ndarray, times: Timeline) -> None:
    """Mark frames with problems and sudden changes of the classes."""
    parts = np.floor(driven_s / (times.duration_s or 1.0) * MARKS)
    for rows in _near(np.flatnonzero(columns['problem'] != ''), parts, 1):
        kinds = ', '.join(sorted(set(columns['problem'][rows])))
        axes.axvspan(*driven_s[rows[[0, -1]]], color=RED, alpha=0.4, linewidth=3,
                     gid=tip(f'{time_text(driven_s[rows[0]])}: {kinds}'))
    for rows in _near(np.flatnonzero(columns['change'] == 1), parts, 0):
        axes.axvline(driven_s[rows[0]], color=ORANGE, linewidth=1.4,
                     gid=tip(f'{time_text(driven_s[rows[0]])}: sudden change'))


def _near(rows: np.ndarray, parts: np.ndarray, most: int) -> list[np.ndarray]:
    """Group rows that are at most `most` parts of the drive apart."""
    groups = np.split(rows, np.flatnonzero(np.diff(parts[rows]) > most) + 1)
    return groups if len(rows) else []


def _draw_borders(axes: Axes, times: Timeline) -> None:
    """Mark where each bag starts, unless there are too many."""
    if len(times.starts) <= MOST_BORDERS:
        for name, start in list(times.starts.items())[1:]:
            axes.axvline(start, color=FAINT, linewidth=1, linestyle=':',
                         gid=tip(f'start of {name}'))


def area_layers(columns: Columns, names: Sequence[str]) -> dict[str, np.ndarray]:
    """Return the share of the image that each class covers; empty without frames."""
    layers = {name: downsample(columns[f'area_{name}'])[1] for name in names}
    if all(np.isnan(layer).all() for layer in layers.values()):
        return {}
    unknown = downsample(columns['unknown'])[1]
    other = np.clip(1 - sum(layers.values()) - unknown, 0, 1)
    rest = {OTHER: other, UNKNOWN: unknown}
    return layers | {name: layer for name, layer in rest.items() if np.nanmax(layer) > 0.001}


def _draw_areas(axes: Axes, driven_s: np.ndarray, layers: Mapping[str, np.ndarray],
                colors: Mapping[str, str]) -> None:
    fills = {**colors, OTHER: OTHER_COLOR, UNKNOWN: UNKNOWN_COLOR}
    x, *values = with_gaps(downsample(driven_s)[1], *layers.values())
    areas = axes.stackplot(x, values, colors=[fills[name] for name in layers], linewidth=0.6,
                           edgecolor='white')
    for name, area in zip(layers, areas):
        area.set_gid(tip(name))
    axes.set_ylim(0, 1)
    axes.yaxis.set_major_formatter(percent)
    _titled(axes, 'Class areas', 'share of the image' if len(driven_s) <= POINTS else
            'share of the image, mean over time')


def time_marks(duration_s: float, most: int = 10) -> tuple[list[float], float]:
    """Return the ticks of a time axis, at most `most` round steps from zero, and the step."""
    duration_s = duration_s or 1.0
    step = next((step for step in TIME_STEPS if duration_s / step <= most),
                math.ceil(duration_s / most / TIME_STEPS[-1]) * TIME_STEPS[-1])
    return [number * step for number in range(int(duration_s / step + 1e-9) + 1)], step


def clock(seconds: float, step: float) -> str:
    """Format the time of a tick in the unit that suits the step."""
    if step < 60:
        return f'{round(seconds, 3):g} s'
    hours, minutes = divmod(round(seconds / 60), 60)
    if step >= 3600:
        return f'{hours} h'
    return f'{minutes} min' if not hours else f'{hours} h' if not minutes else (
        f'{hours}:{minutes:02d} h')


@as_svg
def confidence_plot(summary: Json) -> Figure:
    """Draw the histogram of the confidence."""
    bars = np.array(summary['confidence_histogram'], np.float64)
    bars /= max(bars.sum(), 1)
    figure = new_figure(SQUARE, SQUARE)
    axes = figure.add_subplot()
    axes.set(title='Confidence of the pixels', xlabel='share of the pixels, by confidence')
    edges = np.linspace(0, 1, len(bars) + 1)
    for left, right, bar in zip(edges, edges[1:], bars):
        axes.bar(left, bar, right - left, align='edge', color=BLUE, edgecolor='white',
                 gid=tip(f'{percent(left)} to {percent(right)}: {100 * bar:.2f} % of the pixels'))
    axes.set_xlim(0, 1)
    axes.xaxis.set_major_formatter(percent)
    share_axis(axes, np.append(bars, 0.02), from_zero=True)
    return figure


@as_svg
def calibration_plot(bins: Sequence[Json]) -> Figure:
    """Draw the accuracy of the labels by their confidence, against true labels."""
    total = max(sum(item['pixels'] for item in bins), 1)
    figure = new_figure(SQUARE, SQUARE)
    axes = figure.add_subplot()
    axes.set(title='Calibration', xlabel='share of correct labels, by confidence')
    for number, item in enumerate(bins):
        if item['accuracy'] is None:
            continue
        faint = item['pixels'] < LEAST_PIXELS * total
        text = (f'confidence {100 * item["confidence"]:.1f} %, accuracy '
                f'{100 * item["accuracy"]:.1f} %: {100 * item["pixels"] / total:.2f} % of the '
                'pixels')
        axes.bar(number / len(bins), item['accuracy'], 1 / len(bins), align='edge', color=BLUE,
                 alpha=0.25 if faint else 1, edgecolor='white', gid=tip(text))
        axes.plot(item['confidence'], item['accuracy'], 'o', color=INK, markersize=5)
    axes.plot([0, 1], [0, 1], '--', color=FAINT, linewidth=1.4)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(percent)
    axes.set(xlim=(0, 1), ylim=(0, 1))
    return figure
