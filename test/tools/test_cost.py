# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""The multiply-accumulates of docs/performance.md, against PyTorch's and the authors' count."""

from cost import multiply_accumulates
import pytest
from segret_ros.network import SegRet, VARIANTS
import torch
from torch.nn.attention import sdpa_kernel, SDPBackend
from torch.utils.flop_counter import FlopCounterMode


@pytest.mark.parametrize('variant', ['nano', 'tiny'])  # decomposed and whole in stage 3
@pytest.mark.parametrize('size', [(64, 96), (72, 100)])
def test_the_count_is_pytorchs(variant: str, size: tuple[int, int]) -> None:
    network = SegRet(variant, num_classes=5).eval()
    with FlopCounterMode(display=False) as counter, torch.inference_mode(), \
            sdpa_kernel(SDPBackend.MATH):  # the fused attention on the CPU is not counted
        network(torch.zeros(1, 3, *size))
    count = multiply_accumulates(VARIANTS[variant], size, classes=5)
    assert sum(count.values()) == counter.get_total_flops() / 2


@pytest.mark.parametrize('variant, size, expected_g', [
    ('tiny', (512, 512), 23.8), ('small', (512, 512), 32.2),
    ('tiny', (512, 1024), 56.6), ('tiny', (1024, 2048), 455),
    ('small', (512, 1024), 66.6), ('small', (1024, 2048), 312),
    ('base', (512, 1024), 131), ('base', (1024, 2048), 610),
    ('large', (512, 1024), 261), ('large', (1024, 2048), 1160),
])
def test_with_the_authors_decoder_it_is_the_authors_count(
        variant: str, size: tuple[int, int], expected_g: float) -> None:
    config, classes = VARIANTS[variant], 150 if size[0] == size[1] else 19
    count = multiply_accumulates(config, size, classes)
    width, cells = config.decoder_channels, [size[0] * size[1] // stride ** 2
                                             for stride in (4, 8, 16, 32)]
    # Two unmerged paths per level, and the fusing convolution at stride 4.
    count['decoder'] = cells[0] * (4 * width ** 2 + classes * width) + sum(
        2 * n * channels * width for n, channels in zip(cells, config.channels))
    assert sum(count.values()) / 1e9 == pytest.approx(expected_g, rel=0.004)
