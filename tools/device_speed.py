# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
Estimate inference times of devices that have not been measured, from their published rates.

The bound is a roofline: no engine is faster than the device multiplies, nor than it reads and
writes what it must. The estimate assumes an unfused attention, which writes its logits to memory,
and the share of the peak that OpenVINO was measured to reach on a CPU. Kernel launches count
nowhere: on fast devices and small images they take longer than all else.
"""

import argparse
from collections.abc import Iterator
from dataclasses import dataclass

from cost import grid_sizes, multiply_accumulates, STRIDES
import numpy as np
from segret_ros.network import SegRet, VARIANTS
from segret_ros.network.variants import Variant

CLASSES = 19
SIZES = ((360, 480), (512, 1024), (1024, 2048))
VARIANT_NAMES = ('nano', 'tiny', 'small', 'base')
BYTES = {'float32': 4, 'float16': 2, 'int8': 1}
EFFICIENCY = 0.4  # of a matrix product's speed: OpenVINO reaches 38 to 49 % in float32 on a core
PASSES_OF_LOGITS = 4  # written, read by the softmax, written, read by the product with the values


@dataclass(frozen=True)
class Device:
    """
    A GPU's published numbers; rates follow from them: 2 x SMs x clock x products a clock.

    :param processors: streaming multiprocessors (SMs), each with 128 float32 units.
    :param clock_ghz: the highest that is published.
    :param float16_products: multiply-accumulates that the tensor cores of one SM do in a clock,
        without sparsity, accumulating in float32.
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
        """Return the peak in 10^12 multiplications and additions a second."""
        products = {'float32': 128, 'float16': self.float16_products,
                    'int8': self.int8_products}[precision]
        return products and 2e-3 * self.processors * self.clock_ghz * products


DEVICES = (  # sources: docs/jetson.md
    Device('Jetson Orin Nano 8GB', 8, 1.02, 1024, 2048, 102.4),
    Device('Jetson Orin NX 16GB', 8, 1.173, 1024, 2048, 102.4),
    Device('Jetson AGX Orin 64GB', 16, 1.3, 1024, 2048, 204.8),
    Device('Jetson Thor T5000', 20, 1.575, 4096, None, 273.0),
    Device('H100 SXM', 132, 1.83, 2048, 4096, 3350.0),  # measured too: shows how far this is off
)


@dataclass(frozen=True)
class Work:
    """
    What one image takes.

    :param products: multiply-accumulates.
    :param weights: numbers, each read once.
    :param activations: numbers read or written when elementwise work (norms, activations,
        residuals) is fused and attention logits never reach memory.
    :param logits: further numbers that an unfused attention reads or writes.
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
    Count the numbers read or written: those of activations, then those of logits.

    A block of C channels and feed-forward ratio r, in units of N C for N cells: positional
    convolution 2, query, key and value 4, attention 4 (twice where it is decomposed), local
    convolution 2, output 3, feed-forward network 3 + 2 r. A decomposed block has heads N (h + w)
    logits, a whole one heads N².

    :param input_size: (height, width).
    """
    grids = grid_sizes(input_size)
    cells_at_2 = -(-input_size[0] // 2) * -(-input_size[1] // 2)
    cells_at_4 = grids[0][0] * grids[0][1]
    width = variant.decoder_channels
    # The image as numbers, the stem's four outputs and the inputs of its last three layers.
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
        if index > 0:  # downsampling reads the previous stage and writes this one
            moved += (grids[index - 1][0] * grids[index - 1][1] * variant.channels[index - 1]
                      + cells * channels)
        moved += cells * (channels + 3 * width)  # the level, then the fusing convolution
        if index > 0:  # resized to stride 4 and added there
            moved += cells * width + 2 * cells_at_4 * width
    return moved + cells_at_4 * (width + classes), logits


def bound_ms(device: Device, task: Work, precision: str) -> float | None:
    """Return the time that no engine can undercut; None where the device's rate is unknown."""
    return _slower_ms(device, task.products, task.weights + task.activations, precision)


def estimated_ms(device: Device, task: Work, precision: str) -> float | None:
    """Return the time at `EFFICIENCY`, logits in memory; None where the rate is unknown."""
    numbers = task.weights + task.activations + task.logits
    slower_ms = _slower_ms(device, task.products, numbers, precision)
    return slower_ms and slower_ms / EFFICIENCY


def _slower_ms(device: Device, products: int, numbers: int, precision: str) -> float | None:
    rate = device.tera_operations(precision)
    return rate and max(2 * products / (rate * 1e9),
                        numbers * BYTES[precision] / (device.bandwidth_gb * 1e6))


def tables(tasks: dict[tuple[str, tuple[int, int]], Work], precisions: list[str]) -> Iterator[str]:
    """Yield the lines of all tables, as Markdown."""
    yield '| variant | input | 10^9 products | weights, 10^6 | moved, 10^6 | logits, 10^6 |'
    yield '|---|---|---|---|---|---|'
    for (name, size), task in tasks.items():
        yield (f'| {name} | {size[0]} x {size[1]} | {task.products / 1e9:.1f} '
               f'| {task.weights / 1e6:.1f} | {task.activations / 1e6:.0f} '
               f'| {task.logits / 1e6:.0f} |')
    yield f'\nCalculated, not measured: bound / estimate at {EFFICIENCY:.0%} of the peak, ms'
    for precision in precisions:
        yield f'\n| {precision} | input | ' + ' | '.join(device.name for device in DEVICES) + ' |'
        yield '|---|---|' + '---|' * len(DEVICES)
        for (name, size), task in tasks.items():
            cells = ' | '.join(_cell(bound_ms(device, task, precision),
                                     estimated_ms(device, task, precision)) for device in DEVICES)
            yield f'| {name} | {size[0]} x {size[1]} | {cells} |'


def _cell(bound: float | None, estimate: float | None) -> str:
    return '-' if bound is None else f'{_rounded(bound, 2)} / {_rounded(estimate, 3)}'


def _rounded(number: float, digits: int) -> str:
    return np.format_float_positional(number, digits, unique=False, fractional=False, trim='-')


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
        description='Estimate inference times from the published rates of GPUs. Nothing is '
                    'measured.')
    parser.add_argument('--variant', nargs='+', choices=list(VARIANTS), default=VARIANT_NAMES,
                        help='network sizes')
    parser.add_argument('--size', nargs=2, type=int, action='append', default=argparse.SUPPRESS,
                        metavar=('HEIGHT', 'WIDTH'), help='input size; may be repeated')
    parser.add_argument('--precision', nargs='+', choices=list(BYTES), default=list(BYTES),
                        help='of the engine')
    arguments = parser.parse_args()
    sizes = [tuple(size) for size in getattr(arguments, 'size', SIZES)]
    if min(min(size) for size in sizes) < STRIDES[-1]:
        parser.error(f'--size: both sides must be at least {STRIDES[-1]}')
    tasks = {(name, size): work(name, size) for name in arguments.variant for size in sizes}
    print('\n'.join(tables(tasks, arguments.precision)))


if __name__ == '__main__':
    main()
