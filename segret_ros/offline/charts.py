# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Charts as SVG, all in one style: drawn by matplotlib without a display, equal in every run."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import wraps
import io
import logging
import math
import os
import re
from tempfile import TemporaryDirectory
from typing import ParamSpec
import warnings

import numpy as np
from segret_ros.labels.metrics import ConfusionMatrix


@contextmanager
def _home_left_alone() -> Iterator[None]:
    """Import matplotlib in here: its list of fonts goes to a folder that is removed again."""
    logging.getLogger('matplotlib.font_manager').setLevel(logging.ERROR)  # that it takes a moment
    names = ['XDG_CACHE_HOME', *(['MPLCONFIGDIR'] if 'MPLCONFIGDIR' not in os.environ else [])]
    before = {name: os.environ.get(name) for name in names}
    with TemporaryDirectory() as folder:
        os.environ.update(dict.fromkeys(before, folder))
        try:
            yield
        finally:
            for name in before:
                del os.environ[name]
            os.environ.update({name: value for name, value in before.items() if value})


with _home_left_alone():
    from matplotlib import style, ticker
    from matplotlib.axes import Axes
    from matplotlib.collections import PatchCollection
    from matplotlib.colors import to_rgba
    from matplotlib.figure import Figure
    from matplotlib.patches import Rectangle
    from matplotlib.text import Text

# The pages replace these colours where the screen is dark: base.html.j2.
INK, FAINT, GRID = '#24292f', '#656d76', '#d8dee4'
BLUE, ORANGE, GREEN, PURPLE, OLIVE, RED = ('#2f6fbd', '#e07b39', '#3d9970', '#8e5bb5', '#b8a130',
                                           '#c0303a')
COLORS = (BLUE, ORANGE, GREEN, PURPLE, OLIVE)  # distinct to the colour-blind
FONT = 'system-ui, -apple-system, Segoe UI, Helvetica, Arial, sans-serif'
SMALL, NORMAL, LARGE = 12, 13, 15  # pixels, of text
STYLE = {
    'axes.axisbelow': True, 'axes.edgecolor': GRID, 'axes.facecolor': 'none', 'axes.grid': True,
    'axes.labelcolor': FAINT, 'axes.spines.right': False, 'axes.spines.top': False,
    'axes.titlecolor': INK, 'axes.titlelocation': 'left', 'axes.titlesize': NORMAL,
    'axes.titleweight': 'bold', 'figure.constrained_layout.h_pad': 0.14,
    'figure.constrained_layout.use': True, 'font.family': 'DejaVu Sans', 'font.size': SMALL,
    'grid.color': GRID, 'legend.frameon': False, 'lines.linewidth': 1.6, 'svg.fonttype': 'none',
    'svg.hashsalt': 'segret_ros', 'text.color': INK, 'xtick.color': FAINT, 'xtick.major.pad': 7,
    'xtick.major.size': 0, 'xtick.minor.size': 0, 'ytick.color': FAINT, 'ytick.major.size': 0,
    'ytick.minor.size': 0}
NO_METADATA = dict.fromkeys(('Creator', 'Date', 'Format', 'Type'))
ROUND = [1, 2, 2.5, 5, 10]  # times a power of ten: the steps of an axis
TIP = 'tip: '
CURVE = 520, 300  # pixels
WIDEST_MATRIX = 900
LARGEST_CELL = 44
SMALLEST_WITH_TEXT = 22  # pixels of a cell that holds a number
LEAST_SHARE = 0.0005  # of a row; less is left white
LETTER = 7  # pixels, the average width of a letter
NO_CLASS = 'no class'
MATRIX_CAPTION = 'true class in a row, its label in a column'

Arguments = ParamSpec('Arguments')


def as_svg(draw: Callable[Arguments, Figure]) -> Callable[Arguments, str]:
    """Make a function that draws a figure return it as SVG, in the common style."""
    @wraps(draw)
    def drawn(*args: Arguments.args, **kwargs: Arguments.kwargs) -> str:
        with style.context(STYLE, after_reset=True), warnings.catch_warnings():
            # Of letters that the font lacks: the viewer has another one.
            warnings.filterwarnings('ignore', 'Glyph')
            file = io.StringIO()
            figure = draw(*args, **kwargs)
            for text in figure.findobj(Text):
                text.set_parse_math(False)  # a name may hold dollars
            figure.savefig(file, format='svg', metadata=NO_METADATA)
        svg = file.getvalue()
        svg = svg[svg.index('<svg'):].replace('<svg', f'<svg font-family="{FONT}"', 1)
        svg = re.sub(r'="([\d.]+)pt"', r'="\1"', svg, count=2)  # points are pixels here
        svg = re.sub(r"'DejaVu Sans'[^;\"]*", FONT, svg)
        svg = svg.replace(' xmlns:xlink="http://www.w3.org/1999/xlink"', '').replace(
            'xlink:href', 'href')
        return re.sub(rf'<g id=(["\']){TIP}(.*?)\1>', r'<g><title>\2</title>', svg)
    return drawn


def new_figure(width: float, height: float) -> Figure:
    """Return an empty figure of a size in pixels."""
    return Figure(figsize=(width / 72, height / 72))  # an SVG of matplotlib has 72 a inch


def add_heading(figure: Figure, title: str, note: str) -> None:
    """Write what a picture of its own shows above it, in a bold line and a faint one."""
    figure.suptitle(title, x=0.01, ha='left', fontsize=LARGE + 2, fontweight='bold')
    figure.axes[0].set_title(note, color=FAINT, fontsize=SMALL, fontweight='normal')


def tip(text: str) -> str:
    """Return the `gid` of a shape that shows a text when pointed at."""
    return TIP + ' '.join(text.split())


def percent(share: float, _: float | None = None) -> str:
    """Write a share 0..1 in as few digits as it needs."""
    return f'{round(100 * share, 4):.6g} %'


def share_axis(axes: Axes, values: np.ndarray, from_zero: bool = False) -> None:
    """
    Set a vertical axis in percent that holds all values, 0..1, and nothing beyond 0 and 1.

    :param values: NaN is ignored.
    :param from_zero: start at zero, as bars must.
    """
    values = values[~np.isnan(values)]
    low, high = (float(values.min()), float(values.max())) if len(values) else (0.0, 1.0)
    low = 0.0 if from_zero else min(low, 0.999)
    places = np.asarray(
        ticker.MaxNLocator(5, steps=ROUND).tick_values(low, max(high, low + 0.001)))
    places = places[(places > -1e-9) & (places < 1 + 1e-9)]
    axes.set_yticks(places)
    axes.set_ylim(min(low, places[0]), max(high, places[-1]))
    axes.yaxis.set_major_formatter(percent)


@as_svg
def curve(title: str, points: Sequence[tuple[float, float]], in_percent: bool = False) -> Figure:
    """
    Draw a line over the training steps.

    :param points: (step, value) in the order of the steps; NaN and infinity are left out.
    :param in_percent: write values 0..1 as shares.
    """
    figure = new_figure(*CURVE)
    axes = figure.add_subplot()
    axes.set_title(title, fontsize=LARGE)
    points = [(x, y) for x, y in points if math.isfinite(y)]
    if not points:
        axes.set_axis_off()
        axes.text(0, 0.5, 'no values', color=FAINT)
        return figure
    axes.plot(*zip(*points), marker='o' if len(points) <= 30 else '', color=BLUE, clip_on=False)
    axes.set(xlim=(0, None), ylim=(0, None), xlabel='step')
    axes.locator_params(nbins=6)
    if in_percent:
        axes.yaxis.set_major_formatter(percent)
    return figure


@as_svg
def confusion_chart(names: Sequence[str], confusion: ConfusionMatrix) -> Figure:
    """
    Draw a confusion matrix: of each true class in a row, the share of each label.

    A last column holds the pixels that are labelled as none of the classes, if there are any.
    """
    columns = [*names, NO_CLASS] if confusion.counts[:, -1].any() else [*names]
    shares = confusion.counts[:, :len(columns)] / np.maximum(
        confusion.counts.sum(1, keepdims=True), 1)
    margin = LETTER * max(map(len, columns)) + 20
    cell = min(LARGEST_CELL, (WIDEST_MATRIX - margin) / len(columns))
    written = cell >= SMALLEST_WITH_TEXT
    scale = 'numbers: percent of the row' if written else (
        'the darker, the larger the share of the row')
    figure = new_figure(margin + max(cell * len(columns), LETTER * len(MATRIX_CAPTION) + 20),
                        margin + cell * len(names) + 50)
    axes = figure.add_subplot(anchor='NW')
    axes.set_title(MATRIX_CAPTION, color=FAINT, fontweight='normal')
    axes.set_xlabel(scale, loc='left', fontsize=NORMAL)
    axes.add_collection(_cells(shares))
    axes.set(xlim=(-0.5, len(columns) - 0.5), ylim=(len(names) - 0.5, -0.5), aspect='equal')
    size = min(NORMAL, cell)  # with many classes: to be read enlarged
    axes.set_xticks(range(len(columns)), columns, rotation=90, fontsize=size, color=INK)
    axes.set_yticks(range(len(names)), names, fontsize=size, color=INK)
    axes.tick_params(labelbottom=False, labeltop=True)
    axes.grid(False)
    axes.spines[:].set_visible(False)
    if written:
        for row, column in np.argwhere(shares >= 0.005):
            share = shares[row, column]
            axes.text(column, row, f'{100 * share:.0f}', ha='center', va='center',
                      color='white' if share > 0.5 else INK)
    return figure


def _cells(shares: np.ndarray) -> PatchCollection:
    """Return a square for each share: blue on the diagonal, orange elsewhere."""
    cells = np.argwhere(shares >= LEAST_SHARE)
    # The root makes small errors visible; opacity does so on a light page and on a dark one.
    colors = [to_rgba(BLUE if row == column else ORANGE, shares[row, column] ** 0.5)
              for row, column in cells]
    return PatchCollection([Rectangle((column - 0.48, row - 0.48), 0.96, 0.96)
                            for row, column in cells], facecolors=colors, linewidths=0)
