# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""The rows of `segret_train.scaling` as a picture: time and memory over megapixels."""

from collections.abc import Callable
import math

from segret_ros.offline.svg import COLORS, FAINT, INK, Picture

WIDTH, MARGIN = 960, 24
PLOT_WIDTH, PLOT_HEIGHT, PLOT_LEFT, PLOT_TOP = 380, 330, 72, 124  # pixels, of each panel
PANELS = (('network_ms', 'network, ms', True),
          ('peak_memory_mb', 'memory of the process, MB', False))


def chart(rows: list[dict]) -> Picture:
    """
    Give the picture, both axes logarithmic.

    :param rows: of `segret_train.scaling.measurements`, at least one of them measured.
    """
    measured, skipped = ([row for row in rows if bool(row['skipped']) == state]
                         for state in (False, True))
    notes = [f'{row["variant"]} at {" x ".join(map(str, row["input_size"]))}: {row["skipped"]}'
             for row in skipped if not row['skipped'].startswith('smaller')]
    bottom = PLOT_TOP + PLOT_HEIGHT + 62
    picture = Picture(WIDTH, bottom + 18 * len(notes))
    draw_heading(picture, measured)
    for index, (key, title, linear) in enumerate(PANELS):
        draw_panel(picture, measured, key, title, linear,
                   PLOT_LEFT + index * (PLOT_WIDTH + PLOT_LEFT + 16))
    for index, note in enumerate(notes):
        picture.text(MARGIN, bottom + 18 * index, f'not measured: {note}', 12, FAINT)
    return picture


def by_variant(rows: list[dict]) -> dict[str, list[dict]]:
    """Give each variant's rows."""
    return {name: [row for row in rows if row['variant'] == name]
            for name in dict.fromkeys(row['variant'] for row in rows)}


def draw_heading(picture: Picture, rows: list[dict]) -> None:
    """Write what was measured on what, with the colour of each variant."""
    machine = rows[0]['machine']
    picture.text(MARGIN, MARGIN + 14, 'Cost over the size of the network input', 18, INK,
                 bold=True)
    picture.text(MARGIN, MARGIN + 36, f'{rows[0]["engine"]} on {rows[0]["device"]}; '
                 f'{machine["cpu"]}, {machine["cores"]} cores. Dashed: in proportion to the '
                 'pixels', 12, FAINT)
    for index, (color, name) in enumerate(zip(COLORS, by_variant(rows))):
        picture.bar(MARGIN + 90 * index, MARGIN + 51, 14, 13, color)
        picture.text(MARGIN + 90 * index + 20, MARGIN + 62, name)


def draw_panel(picture: Picture, rows: list[dict], key: str, title: str, linear: bool,
               left: float) -> None:
    """
    Draw the axes and a line a variant.

    :param key: of the rows' number on the vertical axis.
    :param linear: draw what growth in proportion would be, too.
    """
    lines = {color: [(row['megapixels'], row[key]) for row in points]
             for color, points in zip(COLORS, by_variant(rows).values())}
    dashes = {color: [points[0], in_proportion(points)] for color, points in lines.items()
              if linear}
    ends = [point for points in (*lines.values(), *dashes.values()) for point in points]
    bottom = PLOT_TOP + PLOT_HEIGHT
    x_marks, y_marks = (marks(values) for values in zip(*ends))
    across, up = axis(x_marks, left, left + PLOT_WIDTH), axis(y_marks, bottom, PLOT_TOP)
    picture.text(left, PLOT_TOP - 14, title, bold=True)
    picture.text(left + PLOT_WIDTH, bottom + 38, 'megapixels', 12, FAINT, 'end')
    for mark in x_marks:
        picture.line([(across(mark), PLOT_TOP), (across(mark), bottom)])
        picture.text(across(mark), bottom + 18, f'{mark:g}', 12, FAINT, 'middle')
    for mark in y_marks:
        picture.line([(left, up(mark)), (left + PLOT_WIDTH, up(mark))])
        picture.text(left - 8, up(mark) + 4, f'{mark:,.10g}', 12, FAINT, 'end')
    for color, points in dashes.items():
        picture.line([(across(x), up(y)) for x, y in points], color, 1, dashed=True)
    for color, points in lines.items():
        picture.line([(across(x), up(y)) for x, y in points], color, 2.2)
        for x, y in points:
            picture.dot(across(x), up(y), color)


def in_proportion(points: list[tuple[float, float]]) -> tuple[float, float]:
    """Give where a line would end that grows from its first point as the pixels do."""
    (x, y), (end, _) = points[0], points[-1]
    return end, y * end / x


def marks(values: tuple[float, ...]) -> list[float]:
    """Give the numbers 1, 2 and 5 times the powers of 10 around and between some values."""
    exponents = range(math.floor(math.log10(min(values))), math.ceil(math.log10(max(values))) + 2)
    numbers = [factor * 10.0 ** exponent for exponent in exponents for factor in (1, 2, 5)]
    low = max(number for number in numbers if number <= min(values))
    high = min(number for number in numbers if number > max(values))
    return [number for number in numbers if low <= number <= high]


def axis(axis_marks: list[float], start: float, end: float) -> Callable[[float], float]:
    """Give the map from a value to its pixel on a logarithmic axis from mark to mark."""
    low, high = math.log(axis_marks[0]), math.log(axis_marks[-1])
    return lambda value: start + (math.log(value) - low) / (high - low) * (end - start)
