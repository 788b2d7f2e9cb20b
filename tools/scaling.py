# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
Measure how inference time and memory grow with the input size, and plot both.

A model file has one input size, so each size is a file of its own, with random weights. Each is
measured by `segret_bench` in a fresh process, so that memory is that size's alone.
"""

import argparse
from collections.abc import Iterator
import json
from pathlib import Path
import subprocess
import sys
import tempfile
import time

from cost import multiply_accumulates
from segret_ros.files.atomic import write_text
from segret_ros.files.share import package_version
from segret_ros.inference import ModelInfo
from segret_ros.labels.label_set import load_label_set
from segret_ros.network import SegRet, VARIANTS
from segret_ros.offline.charts import as_svg, COLORS, Figure, new_figure, ticker
from segret_ros.offline.machine import memory_mb
from segret_ros.text_table import text_table
from segret_train.onnx_model import save_model, to_onnx
import torch
from tqdm import tqdm

MEGAPIXELS = (0.1, 0.25, 0.5, 1, 2.1, 4.2, 8.4)  # 512 x 1024, 1024 x 2048, 2048 x 4096 are among
SIDE_STEP = 32  # the deepest stage's stride
LABELS = load_label_set('cityscapes')
POLL_S = 0.02
PLOT = 960, 440  # pixels
PANELS = {'network_ms': 'network, ms (dashed: in proportion to the pixels)',
          'peak_memory_mb': 'memory of the process, MB'}


class ScalingError(RuntimeError):
    """A size that can't be measured; the message says why."""


def input_size(megapixels: float) -> tuple[int, int]:
    """Return a (height, width) of about that many million pixels, twice as wide as high."""
    height = max(1, round((megapixels * 1e6 / 2) ** 0.5 / SIDE_STEP)) * SIDE_STEP
    return height, 2 * height


def measurements(variants: list[str], sizes: list[tuple[int, int]], device: str, runs: int,
                 limit_mb: float) -> Iterator[dict]:
    """
    Yield one row for each variant and size; `skipped` says why there are no numbers.

    :param sizes: (height, width), ascending: once one is skipped, larger ones are too.
    :param limit_mb: memory that the measuring process may use.
    :raises ScalingError: when the very first can't be measured.
    """
    first = True
    for variant in variants:
        skipped = ''
        for size in sizes:
            macs = multiply_accumulates(VARIANTS[variant], size, len(LABELS))
            row = {'variant': variant, 'input_size': list(size), 'skipped': skipped,
                   'megapixels': size[0] * size[1] / 1e6, 'multiply_accumulates': macs}
            if not skipped:
                try:
                    row |= measure(variant, size, device, runs, limit_mb)
                except ScalingError as error:
                    if first:
                        raise
                    row['skipped'] = str(error)
                    skipped = f'smaller ones were: {error}'
            first = False
            yield row


def measure(variant: str, size: tuple[int, int], device: str, runs: int,
            limit_mb: float) -> dict:
    """Measure one size in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        model, result = Path(folder) / f'segret_{variant}.onnx', Path(folder) / 'result.json'
        write_random_model(variant, size, model)
        run_limited([sys.executable, '-m', 'segret_ros.offline.bench', str(model), '--device',
                     device, '--runs', str(runs), '--json', str(result)], limit_mb)
        measured = json.loads(result.read_text())
    first = measured['results'][0]
    return {'network_ms': first['stages_ms']['network']['median'],
            'total_ms': first['stages_ms']['total']['median'],
            'peak_memory_mb': measured['peak_memory_mb'], 'engine': first['engine'],
            'device': first['device'], 'machine': measured['machine']}


def write_random_model(variant: str, size: tuple[int, int], path: Path) -> None:
    """Write a model file of random weights, which costs what a trained one does."""
    torch.manual_seed(0)
    info = ModelInfo(labels=LABELS, input_size=size, variant=variant,
                     training_data='none: random weights', miou=None, miou_data='',
                     source='tools/scaling.py')
    save_model(to_onnx(SegRet(variant, len(LABELS)).eval(), size), info, path)


def run_limited(command: list[str], limit_mb: float) -> None:
    """
    Run a command, and kill it if it takes too much memory.

    :raises ScalingError: if it was killed or failed, with the last line that it wrote.
    """
    with tempfile.TemporaryFile() as errors:
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=errors) as process:
            try:
                while process.poll() is None:
                    if memory_mb('VmRSS', process.pid) > limit_mb:
                        raise ScalingError(f'takes more than {limit_mb / 1e3:g} GB of memory')
                    time.sleep(POLL_S)
            finally:
                process.kill()
        if process.returncode != 0:
            errors.seek(0)
            lines = errors.read().decode(errors='replace').splitlines() or ['it wrote nothing']
            raise ScalingError(f'ended with exit code {process.returncode}: {lines[-1]}')


@as_svg
def plot(rows: list[dict]) -> Figure:
    """Plot time and memory over megapixels, and growth in proportion to the pixels (dashed)."""
    measured = [row for row in rows if not row['skipped']]
    machine = measured[0]['machine']
    figure = new_figure(*PLOT)
    for axes, (key, title) in zip(figure.subplots(1, 2), PANELS.items()):
        for color, variant in zip(COLORS, dict.fromkeys(row['variant'] for row in measured)):
            points = [(row['megapixels'], row[key]) for row in measured
                      if row['variant'] == variant]
            axes.loglog(*zip(*points), marker='o', label=variant, color=color)
            if key == 'network_ms':
                (x, y), (end, _) = points[0], points[-1]
                axes.loglog([x, end], [y, y * end / x], '--', color=color, lw=1)
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_locator(ticker.LogLocator(subs=(1, 2, 5)))
            axis.set_major_formatter('{x:g}')
            axis.set_minor_locator(ticker.NullLocator())
        axes.set(title=title, xlabel='megapixels')
        axes.legend()
    figure.suptitle(f'Cost over the input size: {measured[0]["engine"]} on '
                    f'{measured[0]["device"]}, {machine["cpu"]}, {machine["cores"]} cores',
                    x=0.01, ha='left', fontweight='bold')
    return figure


def table(rows: list[dict]) -> str:
    """Return what the terminal shows."""
    lines = []
    for row in rows:
        height, width = row['input_size']
        macs = sum(row['multiply_accumulates'].values()) / 1e9
        found = [f'skipped: {row["skipped"]}'] if row['skipped'] else [
            f'{row["network_ms"]:.1f} ms', f'{row["peak_memory_mb"]:.0f} MB']
        lines.append([row['variant'], f'{height} x {width}', f'{macs:.1f} G', *found])
    return text_table(lines, ['variant', 'input', 'multiply-acc.', 'network', 'memory'])


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
        description='Measure how the time and memory of network sizes grow with the image, on '
                    'random weights, and plot both.')
    parser.add_argument('--variant', nargs='+', choices=list(VARIANTS), default=['nano', 'tiny'],
                        help='network sizes')
    parser.add_argument('--megapixels', nargs='+', type=float, default=MEGAPIXELS,
                        help='input sizes, twice as wide as high')
    parser.add_argument('--device', default='auto', help='see segret_bench')
    parser.add_argument('--runs', type=int, default=5, help='of each size')
    parser.add_argument('--memory', type=float, default=8, metavar='GB',
                        help='a size that takes more is skipped, and larger ones with it')
    parser.add_argument('--output', type=Path, required=True, default=argparse.SUPPRESS,
                        metavar='FILE.svg', help='the plot to write')
    parser.add_argument('--json', type=Path, metavar='FILE', default=argparse.SUPPRESS,
                        help='write the numbers as well')
    arguments = parser.parse_args()
    sizes = sorted({input_size(number) for number in arguments.megapixels if number > 0})
    if len(sizes) < 2:
        parser.error('--megapixels: give at least two different sizes above 0')
    variants = list(dict.fromkeys(arguments.variant))
    try:
        rows = list(tqdm(measurements(variants, sizes, arguments.device, arguments.runs,
                                      arguments.memory * 1e3),
                         'measure', total=len(variants) * len(sizes), unit='size'))
    except ScalingError as error:
        sys.exit(f'scaling: {error}')
    write_text(arguments.output, plot(rows))
    if 'json' in arguments:
        record = {'segret_ros': package_version(), 'runs': arguments.runs, 'rows': rows}
        write_text(arguments.json, json.dumps(record, indent=2) + '\n')
    print(table(rows))


if __name__ == '__main__':
    main()
