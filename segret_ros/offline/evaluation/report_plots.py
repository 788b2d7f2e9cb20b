# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""The plots of an evaluation's page."""

import numpy as np
from segret_ros.offline.evaluation.timeline import time_text, Timeline
from segret_ros.offline.plots import (
    Axis,
    band_path,
    box_path,
    downsample,
    group_starts,
    line_path,
    percent,
    Plot,
    Shape,
    share_axis,
    Tick,
    time_axis,
)

LARGEST_AREAS = 12  # classes that have their own area, the rest is one
OTHER, UNKNOWN = 'other classes', 'unknown'
OTHER_COLOR, UNKNOWN_COLOR = '#8a939d', '#000000'
MARKS = 200  # at most of a kind over a drive
MOST_BORDERS = 40  # bags whose beginnings are marked
BINS_OF_NOTE = 0.001  # share of the pixels; bars of fewer are faint
SERIES = {  # title and note of a column, and whether its axis begins at zero
    'miou': ('Mean IoU of each frame', 'of the classes in it', False),
    'stability': ('Stability', 'pixels that keep their class from the frame before', False),
    'confidence': ('Confidence', 'mean of the frame', False),
    'flicker': ('Flicker', 'pixels that change their class and change it back', True)}


def frame_plots(columns: dict[str, np.ndarray], driven_s: np.ndarray,
                times: Timeline) -> list[Plot]:
    """
    Give a camera's plots over the drive; what has no value at all is left out.

    :param columns: of the camera's frames alone.
    :param driven_s: (frames,) float64 of these.
    :param times: of the whole drive.
    """
    return [frame_plot(columns, driven_s, times, name) for name in SERIES
            if not np.isnan(columns[name]).all()]


def frame_plot(columns: dict[str, np.ndarray], driven_s: np.ndarray, times: Timeline,
               name: str) -> Plot:
    """Give the plot of a column over the drive, with what happened."""
    title, note, from_zero = SERIES[name]
    axis, x_ticks = time_axis(times.duration_s)
    band = downsample(driven_s, columns[name])
    y_axis, y_ticks = share_axis(np.append(band.low, band.high), from_zero)
    x, low, mean, high = axis.place(band.x), *map(y_axis.place, (band.low, band.mean, band.high))
    shapes = [*marks(columns, driven_s, axis), *borders(times, axis)]
    if len(band.x) < len(driven_s):
        shapes.append(Shape(band_path(x, low, high), 'band'))
        note += '; mean, and from the least to the most'
    return Plot(title, note, x_ticks, y_ticks, [*shapes, Shape(line_path(x, mean), 'line')])


def marks(columns: dict[str, np.ndarray], driven_s: np.ndarray, axis: Axis) -> list[Shape]:
    """Give where frames have problems and where classes change suddenly."""
    places, shapes = axis.place(driven_s), []
    for rows in _near(np.flatnonzero(columns['problem'] != ''), places, 1):
        kinds = ', '.join(sorted(set(columns['problem'][rows])))
        path = box_path(places[rows[0]], places[rows[-1]], 0, 1)
        shapes.append(Shape(path, 'problem', text=f'{time_text(driven_s[rows[0]])}: {kinds}'))
    for rows in _near(np.flatnonzero(columns['change'] == 1), places, 0):
        path = line_path(np.full(2, places[rows[0]]), np.array([0., 1.]))
        shapes.append(Shape(path, 'change',
                            text=f'{time_text(driven_s[rows[0]])}: sudden change'))
    return shapes


def _near(rows: np.ndarray, places: np.ndarray, parts: int) -> list[np.ndarray]:
    """Give rows in groups; from one to the next it is at most `parts` of the plot's `MARKS`."""
    if not len(rows):
        return []
    part = np.floor(places[rows] * MARKS)
    return np.split(rows, np.flatnonzero(np.diff(part) > parts) + 1)


def borders(times: Timeline, axis: Axis) -> list[Shape]:
    """Give where one bag ends and the next begins, unless there are too many."""
    if len(times.starts) > MOST_BORDERS:
        return []
    return [Shape(line_path(np.full(2, axis.place(start)), np.array([0., 1.])), 'border',
                  text=f'from here: {name}') for name, start in list(times.starts.items())[1:]]


def areas_plot(columns: dict[str, np.ndarray], driven_s: np.ndarray, times: Timeline,
               names: list[str], colors: dict[str, str]) -> Plot | None:
    """
    Give how much of the picture each class takes over the drive, on top of each other.

    :param names: of the largest classes.
    """
    starts = group_starts(len(driven_s))
    layers = {name: downsample(driven_s, columns[f'area_{name}']).mean for name in names}
    if not layers or all(np.isnan(layer).all() for layer in layers.values()):
        return None
    unknown = downsample(driven_s, columns['unknown']).mean
    other = np.clip(1 - sum(layers.values()) - unknown, 0, 1)
    layers |= {name: layer for name, layer in ((OTHER, other), (UNKNOWN, unknown))
               if np.nanmax(layer) > 0.001}
    axis, x_ticks = time_axis(times.duration_s)
    x = axis.place(downsample(driven_s, driven_s).x)
    tops = np.cumsum(list(layers.values()), axis=0)
    fills = {**colors, OTHER: OTHER_COLOR, UNKNOWN: UNKNOWN_COLOR}
    shapes = [Shape(band_path(x, np.where(np.isnan(top), np.nan, 0.0), np.minimum(top, 1)),
                    'area', fills[name], name)
              for name, top in reversed(list(zip(layers, tops)))]
    note = 'share of the picture' if len(starts) == len(driven_s) else 'share, mean over time'
    ticks = [Tick(mark, percent(mark)) for mark in (0, 0.25, 0.5, 0.75, 1)]
    return Plot('Class areas', note, x_ticks, ticks, [*shapes, *borders(times, axis)])


def confidence_plot(summary: dict) -> Plot:
    """Give how many pixels have which confidence."""
    bars = np.array(summary['confidence_histogram'], np.float64)
    bars /= max(bars.sum(), 1)
    y_axis, y_ticks = share_axis(np.append(bars, 0.02), from_zero=True)
    edges = np.linspace(0, 1, len(bars) + 1)
    shapes = [Shape(box_path(left + 0.003, right - 0.003, 0, y_axis.place(bar)), 'bar',
                    text=f'{percent(left)} to {percent(right)}: {100 * bar:.2f} % of the pixels')
              for left, right, bar in zip(edges, edges[1:], bars)]
    return Plot('Confidence of the pixels', 'share of the pixels by confidence', _share_ticks(),
                y_ticks, shapes)


def calibration_plot(bins: list[dict]) -> Plot:
    """Give how many labels of a confidence are right, as measured against true labels."""
    total = max(sum(item['pixels'] for item in bins), 1)
    width = 1 / max(len(bins), 1)
    shapes, dots = [], ''
    for number, item in enumerate(bins):
        if item['accuracy'] is None:
            continue
        kind = 'bar' if item['pixels'] >= BINS_OF_NOTE * total else 'bar faint'
        text = (f'confidence {100 * item["confidence"]:.1f} %, right {100 * item["accuracy"]:.1f} '
                f'%: {100 * item["pixels"] / total:.2f} % of the pixels')
        shapes.append(Shape(box_path(number * width + 0.004, (number + 1) * width - 0.004, 0,
                                     item['accuracy']), kind, text=text))
        dots += line_path(np.array([item['confidence']]), np.array([item['accuracy']]))
    diagonal = line_path(np.array([0., 1.]), np.array([0., 1.]))
    return Plot('Calibration', 'share of right labels by confidence; on the dashed line the '
                'model is as right as it is sure', _share_ticks(), _share_ticks(),
                [*shapes, Shape(diagonal, 'guide'), Shape(dots, 'dot')])


def _share_ticks() -> list[Tick]:
    return [Tick(mark / 5, percent(mark / 5)) for mark in range(6)]
