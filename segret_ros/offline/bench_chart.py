# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""A measurement as a bar chart."""

from segret_ros.offline.bench_measure import Benchmark, STAGES
from segret_ros.offline.bench_report import description, named, size_text
from segret_ros.offline.svg import COLORS, FAINT, INK, Picture

WIDTH, MARGIN, LEFT, RIGHT = 900, 24, 120, 150  # pixels; bars lie between LEFT and RIGHT
BAR, GAP = 18, 14  # height of a bar, and between two stages
LEGEND = 42  # height of what tells of one result


def chart(bench: Benchmark) -> Picture:
    """Give the medians of each stage as bars, with a thin line up to the p90."""
    results = named(bench)
    row = BAR * len(results) + GAP
    top = MARGIN + 60 + LEGEND * len(results)
    picture = Picture(WIDTH, top + row * len(STAGES) + GAP + MARGIN)
    draw_heading(picture, bench)
    longest = max(result.statistics(stage)['p90'] for _, result in results for stage in STAGES)
    scale = (WIDTH - LEFT - RIGHT) / longest
    y = top
    for stage in STAGES:
        if stage in ('total', 'decode'):  # set off the sum from its parts and from the rest
            picture.line([(MARGIN, y - GAP / 2), (WIDTH - MARGIN, y - GAP / 2)])
        picture.text(LEFT - 12, y + (row - GAP) / 2 + 5, stage, anchor='end',
                     bold=stage == 'total')
        for color, (_, result) in zip(COLORS, results):
            draw_bar(picture, y, result.statistics(stage), scale, color)
            y += BAR
        y += GAP
    return picture


def draw_heading(picture: Picture, bench: Benchmark) -> None:
    """Write what was measured on what, with the colour of each result."""
    picture.text(MARGIN, MARGIN + 14, f'Median time of each stage in ms, camera image of '
                 f'{size_text(bench.camera_size)} pixels', 18, INK, bold=True)
    picture.text(MARGIN, MARGIN + 36, f'{bench.machine}; {bench.runs} runs; thin lines reach to '
                 'the p90', 12, FAINT)
    for index, (color, (name, result)) in enumerate(zip(COLORS, named(bench))):
        y = MARGIN + 64 + LEGEND * index
        picture.bar(MARGIN, y - 11, 14, 13, color)
        picture.text(MARGIN + 22, y, f'{name + ": " if name else ""}{description(result)}')
        picture.text(MARGIN + 22, y + 17, f'{result.engine} on {result.device}, '
                     f'{result.images_per_second():.1f} images per second', 12, FAINT)


def draw_bar(picture: Picture, y: float, statistics: dict[str, float], scale: float,
             color: str) -> None:
    """Draw the bar of one stage of one result."""
    median, p90 = (statistics[name] * scale for name in ('median', 'p90'))
    picture.bar(LEFT, y + 1, max(median, 1), BAR - 2, color)
    picture.line([(LEFT + median, y + BAR / 2), (LEFT + p90, y + BAR / 2)], INK, 1.2)
    picture.text(LEFT + p90 + 8, y + BAR / 2 + 4.5, f'{statistics["median"]:.2f}', 12)
