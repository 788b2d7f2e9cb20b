# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Charts that reports share."""

from collections.abc import Sequence
import math

import numpy as np
from segret_ros.labels.metrics import ConfusionMatrix
from segret_ros.offline.svg import COLORS, FAINT, INK, Picture

WIDTH, HEIGHT = 520, 300  # pixels of a curve
LEFT, RIGHT, TOP, BOTTOM = 64, 20, 42, 40  # its margins
TICKS = 5
WIDEST_MATRIX = 900
LARGEST_CELL = 44
SMALLEST_WITH_TEXT = 22  # pixels of a cell that holds a number
LEAST_SHARE = 0.0005  # of a row; less is left white
LETTER = 7  # pixels of text of 12, at most on the average
NO_CLASS = 'no class'
MATRIX_CAPTION = 'true class in a row, its label in a column'


def curve(title: str, points: Sequence[tuple[float, float]], percent: bool = False) -> Picture:
    """
    Give a line over the steps.

    :param points: (step, value) in the order of the steps; what is no number is left out.
    :param percent: whether values 0..1 are written as shares.
    """
    points = [(x, y) for x, y in points if math.isfinite(y)]
    picture = Picture(WIDTH, HEIGHT)
    picture.text(LEFT, 24, title, 15, INK, bold=True)
    if not points:
        picture.text(LEFT, HEIGHT / 2, 'no values', 12, FAINT)
        return picture
    xs, ys = ticks(0, max(x for x, _ in points)), ticks(0, max(y for _, y in points))

    def place(x: float, y: float) -> tuple[float, float]:
        return (LEFT + x / xs[-1] * (WIDTH - LEFT - RIGHT),
                HEIGHT - BOTTOM - y / ys[-1] * (HEIGHT - TOP - BOTTOM))

    for y in ys:
        picture.line([place(0, y), place(xs[-1], y)])
        label = f'{y:.4g}' if not percent else f'{y:.4%}'.rstrip('0%').rstrip('.') + ' %'
        picture.text(LEFT - 8, place(0, y)[1] + 4, label, 11, FAINT, anchor='end')
    for x in xs:
        picture.text(place(x, 0)[0], HEIGHT - BOTTOM + 18, f'{x:g}', 11, FAINT, anchor='middle')
    picture.text(WIDTH - RIGHT, HEIGHT - 6, 'step', 11, FAINT, anchor='end')
    picture.line([place(x, y) for x, y in points], COLORS[0], 1.8)
    if len(points) <= 30:
        for x, y in points:
            picture.dot(*place(x, y), COLORS[0])
    return picture


def ticks(lowest: float, highest: float) -> list[float]:
    """Give round numbers from the lowest to at least the highest value, about `TICKS` of them."""
    span = (highest - lowest) / TICKS or 1.0
    power = 10.0 ** math.floor(math.log10(span))
    step = next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= span * 0.999)
    count = math.ceil((highest - lowest) / step - 1e-9)
    return [lowest + step * number for number in range(max(count, 1) + 1)]


def confusion_chart(names: Sequence[str], confusion: ConfusionMatrix) -> Picture:
    """
    Give the confusion matrix: of each true class in a row, which share got which label.

    A last column is of the pixels that are labelled as none of the classes, if there are any.
    """
    columns = [*names, NO_CLASS] if confusion.counts[:, -1].any() else [*names]
    shares = confusion.counts / np.maximum(confusion.counts.sum(1, keepdims=True), 1)
    margin = 12 + LETTER * max(map(len, columns))
    cell = min(LARGEST_CELL, (WIDEST_MATRIX - margin) / len(columns))
    size = min(12, round(cell))  # of many classes: to be read enlarged
    top = margin + 22
    scale = 'numbers: percent of the row' if cell >= SMALLEST_WITH_TEXT else (
        'the darker, the larger the share of the row')
    widest = max(cell * len(columns), LETTER * max(len(MATRIX_CAPTION), len(scale)))
    picture = Picture(round(margin + widest + 12),
                      round(top + cell * len(names) + 32))
    picture.text(margin - 8, 16, MATRIX_CAPTION, 12, FAINT)
    for column, name in enumerate(columns):
        picture.text(margin + (column + 0.5) * cell + size / 3, top - 6, name, size, INK,
                     upwards=True)
    for row, name in enumerate(names):
        picture.text(margin - 8, top + (row + 0.5) * cell + size / 3, name, size, INK,
                     anchor='end')
        for column in np.flatnonzero(shares[row, :len(columns)] >= LEAST_SHARE):
            _draw_cell(picture, margin + column * cell, top + row * cell, cell,
                       shares[row, column], row == column)
    picture.text(margin, top + cell * len(names) + 20, scale, 12, FAINT)
    return picture


def _draw_cell(picture: Picture, x: float, y: float, cell: float, share: float,
               right: bool) -> None:
    # The root lets small errors be seen; opacity does so on a light page and on a dark one.
    picture.bar(x, y, cell - 1, cell - 1, COLORS[0] if right else COLORS[1], share ** 0.5)
    if cell >= SMALLEST_WITH_TEXT and share >= 0.005:
        picture.text(x + (cell - 1) / 2, y + cell / 2 + 4, f'{100 * share:.0f}', 11,
                     'white' if share > 0.5 else INK, anchor='middle')
