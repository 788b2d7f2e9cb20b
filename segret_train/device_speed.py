# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
What a GPU could reach, calculated from published rates: `python -m segret_train.device_speed`.

Nothing of this is measured on a GPU. The bound is a roofline: no engine computes faster than the
device multiplies, nor than it reads and writes what has to be. The expectation lets the engine
write the attention's logits to memory, as one does that computes attention in separate steps, and
reach the share of the peak that OpenVINO was measured to reach on a CPU.
"""

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
import sys

import numpy as np
from segret_ros.command_line import FAILED, Parser
from segret_ros.files.atomic import atomic_path
from segret_ros.files.output_file import claim_file, PICTURE_MARK
from segret_ros.network import SegRet, VARIANTS
from segret_ros.network.variants import Variant
from segret_ros.offline.svg import COLORS, FAINT, INK, Picture
from segret_train.cost import multiply_accumulates, STRIDES

CLASSES = 19
SIZES = ((360, 480), (512, 1024), (1024, 2048))
VARIANT_NAMES = ('nano', 'tiny', 'small', 'base')
BYTES = {'float32': 4, 'float16': 2, 'int8': 1}
# Of a matrix product's speed, what OpenVINO reaches in float32 on a core: 38 to 49 %.
EFFICIENCY = 0.4
PASSES_OF_LOGITS = 4  # written, read by the softmax, written, read by the product with the values
WIDTH, LEFT, RIGHT, TOP, ROW = 900, 170, 90, 104, 24  # pixels of the chart


@dataclass(frozen=True)
class Device:
    """
    A GPU's published numbers; rates follow from them: 2 x SMs x clock x products a clock.

    :param processors: streaming multiprocessors (SMs), each with 128 float32 units.
    :param clock_ghz: the highest that is published.
    :param float16_products: multiply-accumulates that the tensor cores of one SM do in a clock,
        without sparsity, sums in float32.
    :param int8_products: the same for int8; None where none is published.
    :param bandwidth_gb: of the memory, GB/s.
    """

    name: str
    processors: int
    clock_ghz: float
    float16_products: int
    int8_products: int | None
    bandwidth_gb: float

    def tera_operations(self, precision: str) -> float | None:
        """Give the peak in 10^12 multiplications and additions a second."""
        products = {'float32': 128, 'float16': self.float16_products,
                    'int8': self.int8_products}[precision]
        return products and 2e-3 * self.processors * self.clock_ghz * products


# Sources: docs/jetson.md and docs/desktop_gpu.md.
DEVICES = (
    Device('Jetson Orin Nano 8GB', 8, 1.02, 1024, 2048, 102.4),
    Device('Jetson Orin NX 16GB', 8, 1.173, 1024, 2048, 102.4),
    Device('Jetson AGX Orin 64GB', 16, 1.3, 1024, 2048, 204.8),
    Device('Jetson Thor T5000', 20, 1.575, 4096, None, 273.0),
    Device('L4', 58, 2.04, 512, 1024, 300.0),
    Device('RTX 4070', 46, 2.475, 256, 1024, 504.0),
    Device('RTX 4090', 128, 2.52, 256, 1024, 1008.0),
)


@dataclass(frozen=True)
class Work:
    """
    What one image takes.

    :param products: multiply-accumulates.
    :param weights: numbers, each read once.
    :param activations: numbers that are read or written when whatever is done number by number
        (norms, activations, residuals) happens on the way, and logits never reach the memory.
    :param logits: numbers that are read or written besides by attention in separate steps.
    """

    products: int
    weights: int
    activations: int
    logits: int


def work(name: str, input_size: tuple[int, int]) -> Work:
    """
    Count what one image takes.

    :param name: of a variant.
    :param input_size: (height, width).
    """
    variant = VARIANTS[name]
    weights = sum(parameter.numel() for parameter in SegRet(name, CLASSES).parameters())
    return Work(sum(multiply_accumulates(variant, input_size, CLASSES).values()), weights,
                *traffic(variant, input_size, CLASSES))


def traffic(variant: Variant, input_size: tuple[int, int], classes: int) -> tuple[int, int]:
    """
    Give the numbers read or written, those of the logits apart.

    A block of C channels and feed-forward ratio r, in units of N C for N cells: positional
    convolution 2, query, key and value 4, attention 4 (twice where it is decomposed), local
    convolution 2, output 3, feed-forward network 3 + 2 r. A decomposed block has heads N (h + w)
    logits, a whole one heads N².

    :param input_size: (height, width).
    """
    grids = [(-(-input_size[0] // stride), -(-input_size[1] // stride)) for stride in STRIDES]
    cells_at_2 = -(-input_size[0] // 2) * -(-input_size[1] // 2)
    cells_at_4 = grids[0][0] * grids[0][1]
    width = variant.decoder_channels
    # The image as numbers, the stem's four outputs and the inputs of its last three.
    moved = (3 * input_size[0] * input_size[1] + cells_at_2 * 3 * (variant.channels[0] // 2)
             + cells_at_4 * 3 * variant.channels[0])
    logits = 0
    for index, (height, row) in enumerate(grids):
        cells, channels = height * row, variant.channels[index]
        decomposed, depth = variant.decomposed[index], variant.depths[index]
        moved += depth * cells * channels * (
            18 + 4 * decomposed + 2 * variant.ffn_ratios[index])
        keys = height + row if decomposed else cells
        logits += depth * PASSES_OF_LOGITS * variant.heads[index] * cells * keys
        if index > 0:  # downsampling reads the stage before and writes this one
            moved += (grids[index - 1][0] * grids[index - 1][1] * variant.channels[index - 1]
                      + cells * channels)
        moved += cells * (channels + 3 * width)  # the level, then the fusing convolution
        if index > 0:  # resized to stride 4 and added there
            moved += cells * width + 2 * cells_at_4 * width
    return moved + cells_at_4 * (width + classes), logits


def bound_ms(device: Device, task: Work, precision: str) -> float | None:
    """Give the time below which no engine gets, None where the device's rate is not known."""
    return _slower_ms(device, task.products, task.weights + task.activations, precision)


def expected_ms(device: Device, task: Work, precision: str) -> float | None:
    """Give the time at `EFFICIENCY`, logits in memory; None where the rate is not known."""
    numbers = task.weights + task.activations + task.logits
    slower_ms = _slower_ms(device, task.products, numbers, precision)
    return slower_ms and slower_ms / EFFICIENCY


def _slower_ms(device: Device, products: int, numbers: int, precision: str) -> float | None:
    rate = device.tera_operations(precision)
    return rate and max(2 * products / (rate * 1e9),
                        numbers * BYTES[precision] / (device.bandwidth_gb * 1e6))


def table(tasks: dict[tuple[str, tuple[int, int]], Work], precisions: list[str]) -> Iterator[str]:
    """Give the lines of both tables, as Markdown."""
    yield '| variant | input | 10^9 products | weights, 10^6 | moved, 10^6 | logits, 10^6 |'
    yield '|---|---|---|---|---|---|'
    for (name, size), task in tasks.items():
        yield (f'| {name} | {size[0]} x {size[1]} | {task.products / 1e9:.1f} '
               f'| {task.weights / 1e6:.1f} | {task.activations / 1e6:.0f} '
               f'| {task.logits / 1e6:.0f} |')
    yield ''
    yield f'Calculated, not measured: bound / expected at {EFFICIENCY:.0%} of the peak, ms'
    for precision in precisions:
        yield ''
        yield f'| {precision} | input | ' + ' | '.join(device.name for device in DEVICES) + ' |'
        yield '|---|---|' + '---|' * len(DEVICES)
        for (name, size), task in tasks.items():
            cells = ' | '.join(cell(bound_ms(device, task, precision),
                                    expected_ms(device, task, precision)) for device in DEVICES)
            yield f'| {name} | {size[0]} x {size[1]} | {cells} |'


def cell(bound: float | None, expected: float | None) -> str:
    """Give two times as text."""
    return '-' if bound is None else f'{rounded(bound, 2)} / {rounded(expected, 3)}'


def rounded(number: float, digits: int) -> str:
    """Give a number of so many digits as text, large ones without an exponent too."""
    return np.format_float_positional(number, digits, unique=False, fractional=False, trim='-')


def chart(tasks: dict[str, Work], input_size: tuple[int, int], precision: str) -> Picture:
    """
    Give bars of the expected time of each variant on each device, with the bound in dark.

    :param tasks: by variant, for an image of `input_size` (height, width).
    """
    devices = [device for device in DEVICES if device.tera_operations(precision)]
    picture = Picture(WIDTH, TOP + len(devices) * (len(tasks) * ROW + ROW))
    picture.text(24, 30, f'Calculated, not measured: {input_size[0]} x {input_size[1]} in '
                 f'{precision}, ms an image', 18, INK, bold=True)
    picture.text(24, 52, f'Dark: what published rates allow at best. Light: {EFFICIENCY:.0%} of '
                 'them, logits in memory. Starts of kernels are not counted', 12, FAINT)
    for index, (name, color) in enumerate(zip(tasks, COLORS)):
        picture.bar(24 + 90 * index, 65, 14, 13, color)
        picture.text(44 + 90 * index, 76, name)
    longest = max(expected_ms(device, task, precision) for device in devices
                  for task in tasks.values())
    scale = (WIDTH - LEFT - RIGHT) / longest
    y = TOP
    for device in devices:
        picture.text(LEFT - 12, y + len(tasks) * ROW / 2 + 4, device.name, anchor='end')
        for task, color in zip(tasks.values(), COLORS):
            bound, expected = (calculate(device, task, precision) * scale
                               for calculate in (bound_ms, expected_ms))
            picture.bar(LEFT, y + 2, max(expected, 1), ROW - 4, color, 0.35)
            picture.bar(LEFT, y + 2, max(bound, 1), ROW - 4, color)
            picture.text(LEFT + expected + 8, y + ROW / 2 + 4.5, rounded(expected / scale, 3), 12)
            y += ROW
        y += ROW
    return picture


def arguments_parser() -> Parser:
    """Give the parser of the command line."""
    parser = Parser(
        prog='python -m segret_train.device_speed',
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
        description='Calculate, from what GPUs are published to do, how long an image takes at '
                    'best and how long it may be expected to. Nothing is measured.')
    parser.add_argument('--variant', nargs='+', choices=list(VARIANTS), default=VARIANT_NAMES,
                        help='to calculate')
    parser.add_argument('--size', nargs=2, type=int, action='append', default=argparse.SUPPRESS,
                        metavar=('HEIGHT', 'WIDTH'), help='input size; may be repeated')
    parser.add_argument('--precision', nargs='+', choices=list(BYTES), default=list(BYTES),
                        help='of the engine')
    parser.add_argument('--output', type=Path, metavar='FILE.svg', default=argparse.SUPPRESS,
                        help='draw the second size, or the only one, in the first precision')
    return parser


def run(arguments: argparse.Namespace) -> None:
    """
    Print the tables, and draw the chart that is asked for.

    :raises ValueError: for arguments that can't be.
    """
    sizes = [tuple(size) for size in getattr(arguments, 'size', SIZES)]
    if min(min(size) for size in sizes) < STRIDES[-1]:
        raise ValueError(f'--size: both sides need {STRIDES[-1]} pixels at least')
    if 'output' in arguments and arguments.output.suffix != '.svg':
        raise ValueError(f'--output is {arguments.output}: the chart is an SVG, name it FILE.svg')
    claim_file(getattr(arguments, 'output', None), [], PICTURE_MARK)
    tasks = {(name, size): work(name, size) for name in arguments.variant for size in sizes}
    print('\n'.join(table(tasks, arguments.precision)))
    if 'output' in arguments:
        size = sizes[min(1, len(sizes) - 1)]
        picture = chart({name: tasks[name, size] for name in arguments.variant}, size,
                        arguments.precision[0])
        with atomic_path(arguments.output) as partial:
            partial.write_text(str(picture), encoding='utf-8')


def main() -> int:
    """Run the command line; give its exit code."""
    arguments = arguments_parser().parse_args()
    try:
        run(arguments)
    except (ValueError, OSError) as error:
        print(f'segret_train.device_speed: {error}', file=sys.stderr)
        return FAILED
    return 0


if __name__ == '__main__':
    sys.exit(main())
