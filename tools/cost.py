# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Count the multiply-accumulates of a SegRet for one image, from its configuration."""

import argparse

from segret_ros.network import VARIANTS
from segret_ros.network.variants import Variant

STRIDES = (4, 8, 16, 32)


def multiply_accumulates(variant: Variant, input_size: tuple[int, int],
                         classes: int) -> dict[str, int]:
    """
    Count convolutions, linear layers and attention at inference.

    The rest (norms, activations, softmax, resizing) multiplies next to nothing, but moves memory.

    :param input_size: (height, width).
    :return: by part: `stem`, `downsampling`, `linear` layers and `depthwise` convolutions of the
        blocks, `attention`, `decoder`.
    """
    grids = grid_sizes(input_size)
    stages = list(zip(grids, variant.channels, variant.depths, variant.ffn_ratios,
                      variant.decomposed))
    half = variant.channels[0] // 2
    cells_at_2 = -(-input_size[0] // 2) * -(-input_size[1] // 2)
    cells_at_4 = grids[0][0] * grids[0][1]
    width = variant.decoder_channels
    count = dict.fromkeys(('stem', 'downsampling', 'linear', 'depthwise', 'attention'), 0)
    count['stem'] = 9 * (cells_at_2 * (3 * half + half ** 2)
                         + cells_at_4 * (2 * half ** 2 + 4 * half ** 2))
    count['decoder'] = cells_at_4 * classes * width
    narrower = 0  # channels of the previous stage; no downsampling precedes the first one
    for (height, row), channels, depth, ffn_ratio, decomposed in stages:
        cells = height * row
        keys = height + row if decomposed else cells
        count['downsampling'] += 9 * cells * narrower * channels
        count['linear'] += depth * cells * (4 + 2 * ffn_ratio) * channels ** 2
        count['depthwise'] += depth * cells * (3 * 3 + 5 * 5) * channels
        count['attention'] += depth * 2 * cells * keys * channels
        count['decoder'] += cells * (channels * width + width ** 2)
        narrower = channels
    return count


def grid_sizes(input_size: tuple[int, int]) -> list[tuple[int, int]]:
    """Return the (height, width) of each stage's grid of cells."""
    return [(-(-input_size[0] // stride), -(-input_size[1] // stride)) for stride in STRIDES]


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(
        formatter_class=argparse.ArgumentDefaultsHelpFormatter, description=__doc__)
    parser.add_argument('--variant', choices=list(VARIANTS), default='nano', help='network size')
    parser.add_argument('--size', nargs=2, type=int, metavar=('HEIGHT', 'WIDTH'),
                        default=(512, 1024), help='input size')
    parser.add_argument('--classes', type=int, default=19, help='number of classes')
    arguments = parser.parse_args()
    count = multiply_accumulates(VARIANTS[arguments.variant], arguments.size, arguments.classes)
    for part, number in {**count, 'total': sum(count.values())}.items():
        print(f'{part:<13}{number / 1e9:9.3f} G')


if __name__ == '__main__':
    main()
