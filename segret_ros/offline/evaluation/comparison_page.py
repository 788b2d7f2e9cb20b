# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""A comparison as one HTML page, nothing outside."""

from collections.abc import Sequence
import math
from pathlib import Path

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
from segret_ros.offline.evaluation.comparison import (
    bounds,
    change,
    Comparison,
    EXPLANATION,
    percent,
    points,
)
from segret_ros.offline.evaluation.differences import Difference, NO_DIFFERENCE
from segret_ros.offline.evaluation.output import Json
from segret_ros.offline.page import hex_color, write_page

WIDTH, MARGIN, ROW = 480, 64, 22  # pixels of a chart, above its rows, and of a row
LONGEST_NAME = 18  # characters of a class's name in a chart
TONES = {'better': GREEN, 'worse': ORANGE, 'higher': BLUE, 'lower': BLUE}
WIDEST = 480  # pixels of one of the two
GAP = 8


def write_comparison(comparison: Comparison, path: Path) -> None:
    """Write the page, whole or not at all."""
    colors = dict(zip(comparison.a.classes, map(hex_color, comparison.a.colors)))
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
               frames={f'{frame.bag}, {frame.camera}, {frame.stamp} s': change(frame)
                       for frame in comparison.changed})


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
