# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
The kernels for GPUs, without one: run by Triton's interpreter, and compiled.

What they compute on a GPU is tested in `test/gpu`.
"""

import math
import os
from pathlib import Path
import subprocess
import sys

import cv2
import numpy as np
import pytest
from segret_ros.inference.engines import kernels
from segret_ros.inference.engines.fused import FusedSegRet, Upload
from segret_ros.inference.engines.pytorch import planes_of
from segret_ros.network import SegRet
from segret_ros.network.decay import log_decay, ManhattanDecay
from segret_ros.network.deployed import attention, DeployedSegRet, to_half
import torch
from torch import Tensor
from torch.nn import functional

ROOT = Path(__file__).parents[3]
LOG2_E = 1 / math.log(2)
HALF, FULL = (torch.float16, 5e-3), (torch.float32, 1e-5)  # with the tolerance
precisions = pytest.mark.parametrize(('dtype', 'tolerance'), [HALF, FULL])


def random(*shape: int, dtype: torch.dtype) -> Tensor:
    """Return normally distributed numbers, the same in each call."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(0)).to(dtype)


@precisions
@pytest.mark.parametrize(('axes', 'grid'), [
    ('rows', (3, 70)), ('columns', (70, 3)), ('grid', (9, 11)), ('grid', (1, 1))])
def test_attention_is_that_of_the_written_graph(axes: str,
                                                grid: tuple[int, int], dtype: torch.dtype,
                                                tolerance: float) -> None:
    heads, dim = 2, 16
    height, width = grid
    qkv = random(height * width, 3 * heads * dim, dtype=dtype)
    query, key, value = qkv.chunk(3, 1)
    decay = ManhattanDecay(heads, 4)
    lines = [part.float().view(height, width, heads, dim) for part in (query, key, value)]
    if axes == 'columns':
        lines = [part.transpose(0, 1) for part in lines]
    if axes == 'grid':
        lines = [part.flatten(0, 1)[None] for part in lines]
    bias = {'rows': lambda: decay.line(width), 'columns': lambda: decay.line(height),
            'grid': lambda: decay.grid(height, width)}[axes]()
    expected = attention(*lines, bias)
    if axes == 'columns':
        expected = expected.transpose(0, 1)
    key *= LOG2_E
    attended = kernels.attend(query, key, value, log_decay(heads, 4) * LOG2_E, grid, axes)
    torch.testing.assert_close(attended.float(), expected.reshape(attended.shape), rtol=0,
                               atol=tolerance)


@precisions
@pytest.mark.parametrize('channels', [32, 80])
def test_the_convolutions_are_pytorchs(channels: int, dtype: torch.dtype,
                                       tolerance: float) -> None:
    grid = 5, 7
    x, other = random(2, 35, channels, dtype=dtype)
    bias, ahead = random(2, channels, dtype=dtype)
    for size in (3, 5):
        weight = random(size * size, channels, dtype=dtype) / size
        image = x.float().T.reshape(1, channels, *grid)
        expected = functional.conv2d(
            image, weight.float().T.reshape(channels, 1, size, size), bias.float(),
            padding=size // 2, groups=channels).flatten(2)[0].T
        result, normalised = kernels.convolve_and_normalise(x, weight, bias, grid, ahead)
        torch.testing.assert_close(result.float(), expected + ahead, rtol=tolerance,
                                   atol=tolerance)
        torch.testing.assert_close(normalised.float(), functional.layer_norm(
            expected, (channels,), eps=1e-6), rtol=tolerance, atol=tolerance)
        wide = torch.cat([other, x], 1)[:, channels:]  # as a part of query, key and value is
        added = kernels.convolve_and_add(wide, weight, bias, grid, other.clone())
        torch.testing.assert_close(added.float(), expected + other, rtol=tolerance,
                                   atol=tolerance)


@precisions
def test_cells_are_normalised_before_what_comes_is_added(dtype: torch.dtype,
                                                         tolerance: float) -> None:
    x, ahead = random(50, 80, dtype=dtype), random(80, dtype=dtype)
    before = x.clone()
    normalised = kernels.normalise(x, ahead)
    torch.testing.assert_close(normalised.float(), functional.layer_norm(
        before.float(), (80,), eps=1e-6), rtol=tolerance, atol=tolerance)
    torch.testing.assert_close(x, before + ahead)


@precisions
def test_levels_are_resized_as_pytorch_does(dtype: torch.dtype,
                                            tolerance: float) -> None:
    grids = [(9, 13), (5, 7), (3, 4), (2, 2)]
    levels = [random(height * width, 24, dtype=dtype) for height, width in grids]
    images = [level.float().T.reshape(1, 24, *grid) for level, grid in zip(levels, grids)]
    total = sum(functional.interpolate(image, grids[0], mode='bilinear') for image in images)
    torch.testing.assert_close(kernels.add_resized(levels, grids).float(),
                               total.relu().flatten(2)[0].T, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize('size', [(31, 45), (4, 3), (1, 1)])
@pytest.mark.parametrize('temperature', [None, 0.7])
def test_labels_and_confidence_are_those_of_pytorch(size: tuple[int, int],
                                                    temperature: float | None) -> None:
    logits = random(5, 7, 11, dtype=torch.float32)
    expected = planes_of(logits.permute(2, 0, 1)[None].contiguous(), size, temperature)
    planes = kernels.label(logits, size, temperature)
    assert len(planes) == len(expected)
    torch.testing.assert_close(planes[0], expected[0])
    torch.testing.assert_close(planes[-1].int(), expected[-1].int(), rtol=0, atol=1)


@pytest.mark.parametrize('size', [(48, 64), (24, 32), (13, 17), (97, 131), (12, 200), (1, 1)])
def test_an_image_is_resized_as_by_opencv(size: tuple[int, int]) -> None:
    image = np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8)
    output = torch.empty(*size, 3, dtype=torch.uint8)
    taps = [torch.from_numpy(kernels.resize_taps(image.shape[axis], size[axis], axis))
            for axis in (0, 1)]
    kernels.resize(torch.from_numpy(image), output, *taps)
    np.testing.assert_array_equal(output.numpy(), cv2.resize(image, size[::-1]))


def test_images_of_any_size_are_sent_one_after_another() -> None:
    target = torch.zeros(16, 24, 3, dtype=torch.uint8)
    upload = Upload(target)
    for number, size in enumerate([(16, 24), (30, 40), (30, 40), (7, 9), (16, 24)]):
        image = np.random.default_rng(number).integers(0, 256, (*size, 3), np.uint8)
        upload(image)
        np.testing.assert_array_equal(target.numpy(), cv2.resize(image, (24, 16)))


def test_the_network_is_the_deployed_one() -> None:
    torch.manual_seed(0)
    network = SegRet('nano', 5).eval()
    image = torch.randint(0, 256, (1, 36, 44, 3), dtype=torch.uint8)
    with torch.inference_mode():
        for parameter in network.parameters():
            parameter.add_(torch.randn_like(parameter), alpha=0.02)
        deployed = DeployedSegRet(network)
        fused = FusedSegRet(deployed)
        expected = deployed(image)[0].permute(1, 2, 0)  # (h, w, classes)
        torch.testing.assert_close(fused(image), expected, rtol=1e-4, atol=1e-5)
        to_half(fused)
        to_half(deployed)
        rounded = deployed(image)[0].permute(1, 2, 0)
        error = (rounded - expected).abs().max()
        assert (fused(image) - expected).abs().max() < 2 * error


def test_the_kernels_compile_for_a_gpu_and_spill_nothing(tmp_path: Path) -> None:
    ran = subprocess.run(
        [sys.executable, 'tools/compile_kernels.py', '90'], cwd=ROOT, capture_output=True,
        text=True, env={**os.environ, 'TRITON_INTERPRET': '0', 'TRITON_CACHE_DIR': str(tmp_path)})
    assert ran.returncode == 0, ran.stderr
    rows = [line.split() for line in ran.stdout.splitlines()[2:]]
    assert {row[0] for row in rows} == {'attend', 'convolve', 'normalise', 'add_resized', 'label'}
    assert {row[-2] for row in rows} == {'0'}
