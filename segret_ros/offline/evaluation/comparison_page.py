# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""A comparison as one HTML page, nothing outside."""

from collections.abc import Iterable, Sequence
import math
from pathlib import Path

import numpy as np
from segret_ros.labels.label_set import LabelSet
from segret_ros.labels.visualization import colorize
from segret_ros.offline.bags import Bag, BagError, open_bag
from segret_ros.offline.charts import (
    as_svg,
    BLUE,
    FAINT,
    Figure,
    GREEN,
    INK,
    LARGE,
    new_figure,
    ORANGE,
)
from segret_ros.offline.evaluation.compared_folder import Evaluation
from segret_ros.offline.evaluation.comparison import (
    bounds,
    change,
    Comparison,
    EXPLANATION,
    percent,
    points,
)
from segret_ros.offline.evaluation.differences import ChangedFrame, Difference, NO_DIFFERENCE
from segret_ros.offline.evaluation.output import EvaluationError, Json, RESULT
from segret_ros.offline.evaluation.result import find_recorded, recorded_label
from segret_ros.offline.page import data_url, hex_color, write_page
from segret_ros.offline.pictures import encode, shrunk

WIDTH, MARGIN, ROW = 480, 64, 22  # pixels of a chart, above its rows, and of a row
LONGEST_NAME = 18  # characters of a class's name in a chart
TONES = {'better': GREEN, 'worse': ORANGE, 'higher': BLUE, 'lower': BLUE}
WIDEST = 480  # pixels of one of the two
GAP = 8


def write_comparison(comparison: Comparison, path: Path) -> None:
    """
    Write the page, with pictures of the frames that changed most where there are any.

    :raises EvaluationError: for a `result.mcap` that can't be read.
    """
    colors = dict(zip(comparison.a.classes, map(hex_color, comparison.a.colors)))
    frames = [{'title': f'{frame.bag}, {frame.camera}, {frame.stamp} s', 'change': change(frame),
               'url': data_url(picture) if picture else None}
              for frame, picture in zip(comparison.changed, pictures(comparison))]
    charts = {'Area': comparison.areas}
    if comparison.scores:
        charts = {'IoU': (comparison.scores[0], *comparison.ious), **charts}
    tables = {'True labels: IoU of the classes': (*comparison.scores, *comparison.ious),
              'Without true labels': comparison.behaviour,
              'Areas of the classes': comparison.areas}
    write_page(path, 'segret_ros.offline.evaluation', 'comparison.html.j2',
               sides={'A': comparison.a, 'B': comparison.b}, verdict=comparison.verdict(),
               counts=comparison.counts(), notes=comparison.notes(), explanation=EXPLANATION,
               charts=[chart(f'{title}: B - A in points', differences)
                       for title, differences in charts.items()],
               tables={title: [_row(one, colors) for one in differences]
                       for title, differences in tables.items() if differences},
               frames=frames)


@as_svg
def chart(title: str, differences: Sequence[Difference]) -> Figure:
    """Draw differences in points as discs, with their intervals as lines."""
    rows = range(len(differences))
    figure = new_figure(WIDTH, MARGIN + ROW * len(differences))
    axes = figure.add_subplot()
    axes.set_title(title, fontsize=LARGE)
    axes.axvline(0, color=FAINT, linewidth=1)
    for row, difference in enumerate(differences):
        color = TONES.get(difference.verdict, FAINT)
        if math.isnan(difference.points):
            axes.annotate('absent', (0, row), (8, 0), textcoords='offset points', va='center',
                          color=FAINT)
        elif difference.interval:
            axes.plot([100 * bound for bound in difference.interval], [row, row], color=color,
                      linewidth=3)
        axes.plot(difference.points, row, 'o', color=color, markersize=7)
    axes.set_yticks(rows, [_short(difference.name) for difference in differences], color=INK)
    for text, difference in zip(axes.get_yticklabels(), differences):
        text.set_fontweight('bold' if difference.name == 'mean IoU' else 'normal')
    reach = max(0.01, *map(abs, axes.get_xlim()))
    axes.set(xlim=(-reach, reach), ylim=(len(differences) - 0.5, -0.5))
    axes.locator_params(axis='x', nbins=5)
    axes.xaxis.set_major_formatter(lambda value, _: f'{value:+g}' if value else '0')
    axes.tick_params(labelbottom=False, labeltop=True)
    axes.grid(axis='y', visible=False)
    axes.spines[:].set_visible(False)
    return figure


def _short(name: str) -> str:
    return name if len(name) <= LONGEST_NAME else f'{name[:LONGEST_NAME - 1]}…'


def _row(difference: Difference, colors: dict[str, str]) -> Json:
    tone = {'better': 'good', 'worse': 'bad', NO_DIFFERENCE: 'sub'}.get(difference.verdict, '')
    return {'name': difference.name, 'color': colors.get(difference.name),
            'a': percent(difference.a), 'b': percent(difference.b), 'points': points(difference),
            'bounds': bounds(difference), 'verdict': difference.verdict, 'tone': tone}


def pictures(comparison: Comparison) -> list[bytes | None]:
    """
    Draw each changed frame as a PNG file: labels of A and of B side by side.

    :return: None for frames without, and for all where one folder has no `result.mcap`.
    :raises EvaluationError: for a `result.mcap` that can't be read.
    """
    sides = (comparison.a, comparison.b)
    if not all((side.folder / RESULT).exists() for side in sides):
        return [None] * len(comparison.changed)
    table = LabelSet(comparison.a.classes, comparison.a.colors).color_table()
    labels = [_labels(side, comparison.changed) for side in sides]
    return [None if of_a is None or of_b is None else _picture(of_a, of_b, table)
            for of_a, of_b in zip(*labels)]


def _labels(side: Evaluation, frames: Iterable[ChangedFrame]) -> list[np.ndarray | None]:
    try:
        with open_bag(side.folder / RESULT) as bag:
            return [_label(bag, side.label_topic(frame.bag, frame.camera), frame)
                    for frame in frames]
    except BagError as error:
        raise EvaluationError(str(error)) from error


def _label(bag: Bag, topic: str | None, frame: ChangedFrame) -> np.ndarray | None:
    """Read a frame's label, (H, W) uint8; None where there is none."""
    recorded = topic and find_recorded(bag, topic, frame.stamp_ns, frame.time_ns)
    return recorded_label(recorded) if recorded else None


def _picture(label_a: np.ndarray, label_b: np.ndarray, color_table: np.ndarray) -> bytes:
    one, other = (colorize(shrunk(label, WIDEST), color_table)
                  for label in (label_a, label_b))
    return encode(np.hstack([one, np.full((len(one), GAP, 3), 255, np.uint8), other]), '.png')
