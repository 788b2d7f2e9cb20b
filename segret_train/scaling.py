# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
How time and memory grow with the image: `python -m segret_train.scaling --output scaling.svg`.

A model file has one input size, so each size is a file of its own, with random weights. Each is
measured by `segret_bench` in a fresh process, whose memory is that size's alone.
"""

import argparse
from collections.abc import Iterator
import json
from pathlib import Path
import subprocess
import sys
import tempfile
import time

from segret_ros.command_line import FAILED, Parser
from segret_ros.files.atomic import atomic_path
from segret_ros.files.output_file import claim_file, PICTURE_MARK, SCALING_MARK
from segret_ros.files.share import package_version
from segret_ros.inference import ModelInfo
from segret_ros.labels.label_set import load_label_set
from segret_ros.network import SegRet, VARIANTS
from segret_train.cost import multiply_accumulates
from segret_train.onnx_model import save_model, to_onnx
from segret_train.scaling_chart import chart
import torch
from tqdm import tqdm

MEGAPIXELS = (0.1, 0.25, 0.5, 1, 2.1, 4.2, 8.4)  # 512 x 1024, 1024 x 2048, 2048 x 4096 are among
SIDE_STEP = 32  # the deepest stage's stride
LABELS = load_label_set('cityscapes')
WATCH_S = 0.02


class ScalingError(RuntimeError):
    """A size that can't be measured; the text says why."""


def input_size(megapixels: float) -> tuple[int, int]:
    """Give (height, width) of about that many million pixels, twice as wide as high."""
    height = max(1, round((megapixels * 1e6 / 2) ** 0.5 / SIDE_STEP)) * SIDE_STEP
    return height, 2 * height


def measurements(variants: list[str], sizes: list[tuple[int, int]], device: str, runs: int,
                 bound_mb: float) -> Iterator[dict]:
    """
    Give one row a variant and size; `skipped` says why there are no numbers.

    :param sizes: (height, width), ascending: after one that is skipped, the larger are too.
    :param bound_mb: of the measuring process's memory.
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
                    row |= measure(variant, size, device, runs, bound_mb)
                except ScalingError as error:
                    if first:
                        raise
                    row['skipped'] = str(error)
                    skipped = f'smaller ones were: {error}'
            first = False
            yield row


def measure(variant: str, size: tuple[int, int], device: str, runs: int,
            bound_mb: float) -> dict:
    """Give the numbers of one size, from a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        model, result = Path(folder) / f'segret_{variant}.onnx', Path(folder) / 'result.json'
        write_random_model(variant, size, model)
        run_watched([sys.executable, '-m', 'segret_ros.offline.bench', str(model), '--device',
                     device, '--runs', str(runs), '--json', str(result)], bound_mb)
        measured = json.loads(result.read_text())
    stages_ms = measured['results'][0]['stages_ms']
    return {'network_ms': stages_ms['network']['median'],
            'total_ms': stages_ms['total']['median'],
            'peak_memory_mb': measured['peak_memory_mb'],
            'engine': measured['results'][0]['engine'], 'device': measured['results'][0]['device'],
            'machine': measured['machine']}


def write_random_model(variant: str, size: tuple[int, int], path: Path) -> None:
    """Write a model file that computes what a trained one does, to no use."""
    torch.manual_seed(0)
    info = ModelInfo(labels=LABELS, input_size=size, variant=variant,
                     training_data='none: random weights', miou=None, miou_data='',
                     source='segret_train.scaling')
    network = SegRet(variant, len(LABELS)).eval()
    save_model(to_onnx(network, size), info, path)


def run_watched(command: list[str], bound_mb: float) -> None:
    """
    Run a command to its end, and kill it when its memory grows above a bound.

    :raises ScalingError: when it was killed or failed, with the last line that it wrote.
    """
    with tempfile.TemporaryFile() as errors:
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=errors) as process:
            try:
                while process.poll() is None:
                    if resident_mb(process.pid) > bound_mb:
                        raise ScalingError(f'takes more than {bound_mb / 1e3:g} GB of memory')
                    time.sleep(WATCH_S)
            finally:
                process.kill()
        if process.returncode != 0:
            errors.seek(0)
            lines = errors.read().decode(errors='replace').splitlines() or ['it wrote nothing']
            raise ScalingError(f'ended with exit code {process.returncode}: {lines[-1]}')


def resident_mb(pid: int) -> float:
    """Give the memory of a process now, in MB; 0 when it has ended."""
    try:
        lines = Path(f'/proc/{pid}/status').read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return 0.0
    return next((int(line.split()[1]) * 1024 / 1e6 for line in lines
                 if line.startswith('VmRSS:')), 0.0)


def arguments_parser() -> Parser:
    """Give the parser of the command line."""
    parser = Parser(
        prog='python -m segret_train.scaling',
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
        description='Measure how the time and memory of variants grow with the image, on networks '
                    'of random weights, and draw it.')
    parser.add_argument('--variant', nargs='+', choices=list(VARIANTS), default=['nano', 'tiny'],
                        help='to measure')
    parser.add_argument('--megapixels', nargs='+', type=float, default=MEGAPIXELS,
                        help='input sizes, twice as wide as high')
    parser.add_argument('--device', default='auto', help='as of segret_bench')
    parser.add_argument('--runs', type=int, default=5, help='of each size')
    parser.add_argument('--memory', type=float, default=8, metavar='GB',
                        help='a size that takes more is skipped, and the larger ones with it')
    parser.add_argument('--output', type=Path, required=True, default=argparse.SUPPRESS,
                        metavar='FILE.svg', help='the chart to write')
    parser.add_argument('--json', type=Path, metavar='FILE', default=argparse.SUPPRESS,
                        help='write the numbers here too')
    return parser


def text(row: dict) -> str:
    """Give one line of the table."""
    height, width = row['input_size']
    line = (f'{row["variant"]:<8}{height:>5} x {width:<5}'
            f'{sum(row["multiply_accumulates"].values()) / 1e9:9.1f} G')
    if row['skipped']:
        return f'{line}  skipped: {row["skipped"]}'
    return f'{line}{row["network_ms"]:12.1f} ms{row["peak_memory_mb"]:10.0f} MB'


def main() -> int:
    """Run the command line; give its exit code."""
    arguments = arguments_parser().parse_args()
    sizes = sorted({input_size(megapixels) for megapixels in arguments.megapixels
                    if megapixels > 0})
    try:
        if len(sizes) < 2:
            raise ValueError('--megapixels: give at least two different sizes above 0')
        claim_file(arguments.output, [], PICTURE_MARK)
        claim_file(getattr(arguments, 'json', None), [], SCALING_MARK)
        variants = list(dict.fromkeys(arguments.variant))
        rows = list(tqdm(measurements(variants, sizes, arguments.device, arguments.runs,
                                      arguments.memory * 1e3),
                         'measure', total=len(variants) * len(sizes), unit='size'))
        contents = {arguments.output: str(chart(rows))}
        if 'json' in arguments:
            record = {'segret_ros': package_version(), 'runs': arguments.runs, 'rows': rows}
            contents[arguments.json] = json.dumps(record, indent=2) + '\n'
        for path, content in contents.items():
            with atomic_path(path) as partial:
                partial.write_text(content, encoding='utf-8')
    except (ValueError, ScalingError, OSError) as error:
        print(f'segret_train.scaling: {error}', file=sys.stderr)
        return FAILED
    print(f'{"variant":<8}{"input":>9}{"multiply-acc.":>17}{"network":>13}{"memory":>13}')
    print('\n'.join(map(text, rows)))
    return 0


if __name__ == '__main__':
    sys.exit(main())
