# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""A comparison as one HTML page, nothing outside."""

from collections.abc import Sequence
from pathlib import Path

from segret_ros.offline.charts import ticks
from segret_ros.offline.evaluation.comparison import (
    bounds,
    change,
    Comparison,
    Difference,
    EXPLANATION,
    NO_DIFFERENCE,
    percent,
    points,
)
from segret_ros.offline.evaluation.comparison_pictures import pictures
from segret_ros.offline.page import data_url, hex_color, write_page
from segret_ros.offline.svg import COLORS, FAINT, GRID, INK, Picture

WIDTH, LEFT, RIGHT, TOP, ROW = 480, 130, 24, 58, 22  # pixels of a chart, its margins and its rows
LONGEST_NAME = 18  # characters of a class's name in a chart
BETTER, WORSE = COLORS[2], COLORS[1]


def write_comparison(comparison: Comparison, path: Path) -> None:
    """
    Write the page, with pictures of the frames that changed most where there are any.

    :raises EvaluationError: for a `result.mcap` that can't be read.
    """
    colors = dict(zip(comparison.classes, map(hex_color, comparison.colors)))
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
               counts=comparison.counts(), notes=comparison.notes, explanation=EXPLANATION,
               charts=[str(chart(f'{title}: B - A in points', differences))
                       for title, differences in charts.items()],
               tables={title: [_row(one, colors) for one in differences]
                       for title, differences in tables.items() if differences},
               frames=frames)


def chart(title: str, differences: Sequence[Difference]) -> Picture:
    """Give differences in points as discs, with their intervals as lines."""
    reach = max([0.01, *(abs(100 * value) for one in differences
                         for value in (one.b - one.a, *(one.interval or ())) if value == value)])
    steps = ticks(0, reach)
    scale = (WIDTH - LEFT - RIGHT) / 2 / steps[-1]
    middle, bottom = (WIDTH + LEFT - RIGHT) / 2, TOP + ROW * len(differences)
    picture = Picture(WIDTH, bottom + 12)
    picture.text(12, 22, title, 15, INK, bold=True)
    for step in (side * step for step in steps[::2] for side in ((-1, 1) if step else (1,))):
        x = middle + step * scale
        picture.line([(x, TOP - 6), (x, bottom)], GRID if step else FAINT)
        picture.text(x, TOP - 12, f'{step:+g}' if step else '0', 11, FAINT, anchor='middle')
    for row, difference in enumerate(differences):
        _draw(picture, difference, TOP + ROW * (row + 0.5), middle, scale)
    return picture


def _draw(picture: Picture, difference: Difference, y: float, middle: float,
          scale: float) -> None:
    name = difference.name
    short = name if len(name) <= LONGEST_NAME else f'{name[:LONGEST_NAME - 1]}…'
    picture.text(LEFT - 10, y + 4, short, 12, INK, anchor='end', bold=name == 'mean IoU')
    if difference.points != difference.points:
        picture.text(middle + 8, y + 4, 'absent', 11, FAINT)
        return
    color = {'better': BETTER, 'worse': WORSE, 'higher': COLORS[0], 'lower': COLORS[0]}.get(
        difference.verdict, FAINT)
    if difference.interval:
        picture.line([(middle + 100 * bound * scale, y) for bound in difference.interval], color,
                     3)
    picture.dot(middle + difference.points * scale, y, color)


def _row(difference: Difference, colors: dict[str, str]) -> dict:
    tone = {'better': 'good', 'worse': 'bad', NO_DIFFERENCE: 'sub'}.get(difference.verdict, '')
    return {'name': difference.name, 'color': colors.get(difference.name),
            'a': percent(difference.a), 'b': percent(difference.b), 'points': points(difference),
            'bounds': bounds(difference), 'verdict': difference.verdict, 'tone': tone}
