# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""What a SegRet computes for one image, counted from its configuration."""

from segret_ros.network.variants import Variant

STRIDES = (4, 8, 16, 32)


def multiply_accumulates(variant: Variant, input_size: tuple[int, int],
                         classes: int) -> dict[str, int]:
    """
    Give the multiply-accumulates of convolutions, linear layers and attention at evaluation.

    The rest (norms, activations, softmax, resizing) multiplies next to nothing, but moves memory.

    :param input_size: (height, width).
    :return: by part: `stem`, `downsampling`, `linear` layers and `depthwise` convolutions of the
        blocks, `attention`, `decoder`.
    """
    grids = [(-(-input_size[0] // stride), -(-input_size[1] // stride)) for stride in STRIDES]
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
    narrower = 0  # channels of the stage before; there is no downsampling before the first
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
