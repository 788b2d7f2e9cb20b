# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""A measurement as a bar chart."""

import numpy as np
from segret_ros.offline.bench_measure import Benchmark, STAGES
from segret_ros.offline.bench_report import description, named, size_text
from segret_ros.offline.charts import add_heading, as_svg, COLORS, Figure, GRID, INK, new_figure

WIDTH, BAR, GAP, HEADING = 900, 18, 14, 110  # pixels: chart, bar, between stages, above them


@as_svg
def chart(bench: Benchmark) -> Figure:
    """Draw the median of each stage as a bar, with a thin line up to the p90."""
    results = named(bench)
    row = BAR * len(results) + GAP
    figure = new_figure(WIDTH, HEADING + row * len(STAGES))
    axes = figure.add_subplot()
    for index, (color, (name, result)) in enumerate(zip(COLORS, results)):
        median, p90, _ = np.transpose([list(result.statistics(stage).values())
                                       for stage in STAGES])
        bars = axes.barh(np.arange(len(STAGES)) + index * BAR / row, median, (BAR - 2) / row,
                         xerr=[np.zeros(len(STAGES)), p90 - median], color=color, ecolor=INK,
                         label=f'{name or "model"}: {description(result)}\n'
                         f'{result.engine} on {result.device}, '
                         f'{result.images_per_second():.1f} images per second')
        axes.bar_label(bars, [f'{value:.2f}' for value in median], padding=8)
    middle = BAR * (len(results) - 1) / row / 2
    axes.set_yticks(np.arange(len(STAGES)) + middle, STAGES, color=INK)
    for stage in ('total', 'decode'):  # separate the sum from its parts and from the rest
        axes.axhline(STAGES.index(stage) + middle - 0.5, color=GRID)
    axes.set(ylim=(len(STAGES) + middle - 0.5, middle - 0.5))
    axes.margins(x=0.1)
    axes.grid(axis='y', visible=False)
    axes.legend(loc='lower right')
    add_heading(figure, f'Median time of each stage in ms, camera image of '
                f'{size_text(bench.camera_size)} pixels',
                f'{bench.machine}; {bench.runs} runs; thin lines reach to the p90')
    return figure
