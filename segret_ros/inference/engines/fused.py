# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
The network for NVIDIA GPUs: the function of `DeployedSegRet`, in nine or ten kernels a block.

Cells are rows of a matrix, (H W, C), from end to end, so that nothing is transposed. A residual
takes in the bias of the product that is added to it, which then is one product in place. Logits
count in base 2, the base of a GPU's exponential.
"""

from copy import deepcopy
import math
from typing import Any

import numpy as np
from segret_ros.inference.engines import kernels
from segret_ros.network.deployed import (
    DeployedBlock,
    DeployedSegRet,
    DeployedStage,
    linear,
    scaled,
)
from segret_ros.network.retention import DepthwiseConv2d
import torch
from torch import nn, Tensor
from torch.nn import functional

Grid = tuple[int, int]


class FusedSegRet(nn.Module):
    """
    A network for one image of 0..255.

    It computes in the type of its parameters; `to_half` makes them float16.

    :param network: in evaluation mode; its weights are copied.
    """

    def __init__(self, network: DeployedSegRet) -> None:
        super().__init__()
        self.network = deepcopy(network)
        stages: Any = self.network.stages  # PyTorch's lists do not know the types of their modules
        self.network.stages = nn.ModuleList(map(FusedStage, stages))

    def forward(self, image: Tensor) -> Tensor:
        """
        Compute the logits of an image.

        :param image: (1, H, W, 3) uint8 RGB.
        :return: (H / 4, W / 4, classes), rounded up, in the type that it computes in.
        """
        return self._decode(self.network.features(image))

    @staticmethod
    def label(logits: Tensor, size: Grid, temperature: float | None) -> list[Tensor]:
        """Compute the label and, with a temperature, the confidence; see `kernels.label`."""
        return kernels.label(logits, size, temperature)

    def _decode(self, features: list[Tensor]) -> Tensor:
        """Compute the logits from four (1, C, h, w)."""
        grids = [grid_of(x) for x in features]
        decoder = self.network.decoder
        levels = [fuse(functional.relu_(level(cells_of(x))))
                  for x, level, fuse in zip(features, decoder.levels, decoder.fuse)]
        fused = kernels.add_resized(levels, grids)
        classify = decoder.classify
        return functional.linear(fused, classify.weight.flatten(1), classify.bias
                                 ).unflatten(0, grids[0])


class Upload:
    """
    Sends camera images to the GPU and resizes them there.

    :param target: (h, w, 3) uint8 on the GPU, where each image ends.
    """

    def __init__(self, target: Tensor) -> None:
        self._target = target
        self._taps: tuple[Tensor, ...] = ()
        self._prepare(target.shape)

    def __call__(self, image_rgb: np.ndarray) -> None:
        """
        Send an image, (H, W, 3) uint8; the GPU has to be waited for before the next.

        What is held for a size is kept for the next image of the same size.
        """
        if image_rgb.shape != self._sent.shape:
            self._prepare(image_rgb.shape)
        self._sent.numpy()[:] = image_rgb
        self._arrived.copy_(self._sent, non_blocking=True)
        if self._taps:
            kernels.resize(self._arrived, self._target, *self._taps)

    def _prepare(self, shape: tuple[int, ...]) -> None:
        device = self._target.device
        self._sent = torch.empty(shape, dtype=torch.uint8, pin_memory=self._target.is_cuda)
        self._arrived, self._taps = self._target, ()
        if shape != self._target.shape:
            self._arrived = torch.empty(shape, dtype=torch.uint8, device=device)
            self._taps = tuple(
                torch.from_numpy(kernels.resize_taps(shape[axis], self._target.shape[axis], axis)
                                 ).to(device) for axis in (0, 1))


class FusedStage(nn.Module):
    """
    A stage's retention blocks.

    :param stage: of the network.
    """

    slopes: Tensor

    def __init__(self, stage: DeployedStage) -> None:
        super().__init__()
        self.axes = ('rows', 'columns') if stage.decomposed else ('grid',)
        self.register_buffer('slopes', stage.decay.log_decay.float() / math.log(2))
        blocks: Any = stage.blocks
        self.blocks = nn.ModuleList(map(FusedBlock, blocks))

    def forward(self, x: Tensor) -> Tensor:
        """Run the blocks in turn on (1, C, H, W), channels last."""
        grid = grid_of(x)
        cells = cells_of(x)
        for block in self.blocks:
            cells = block(cells, grid, self.slopes, self.axes)
        return cells.view(1, *grid, -1).permute(0, 3, 1, 2)


class FusedBlock(nn.Module):
    """
    A retention block.

    :param block: of the network.
    """

    def __init__(self, block: DeployedBlock) -> None:
        super().__init__()
        key = scaled(block.key, torch.tensor(1 / math.log(2)))
        self.qkv = joined(block.query, key, block.value)
        self.position, self.local = taps_of(block.position), taps_of(block.local)
        self.output, self.widen, self.narrow = block.output, block.widen, block.narrow

    def forward(self, x: Tensor, grid: Grid, slopes: Tensor, axes: tuple[str, ...]) -> Tensor:
        """
        Run the block.

        :param x: (H W, C).
        :param slopes, axes: of `kernels.attend`.
        :return: (H W, C).
        """
        position, position_bias = self.position
        x, normalised = kernels.convolve_and_normalise(x, position, position_bias, grid,
                                                       ahead=self.output.bias)
        query, key, value = self.qkv(normalised).chunk(3, 1)
        attended = value
        for axis in axes:
            attended = kernels.attend(query, key, attended, slopes, grid, axis)
        local, local_bias = self.local
        attended = kernels.convolve_and_add(value, local, local_bias, grid, attended)
        x.addmm_(attended, self.output.weight.T)
        normalised = kernels.normalise(x, ahead=self.narrow.bias)
        return x.addmm_(functional.gelu(self.widen(normalised)), self.narrow.weight.T)


def joined(*layers: nn.Linear) -> nn.Linear:
    """Return one linear layer whose outputs are those of some, one after another."""
    return linear(torch.cat([layer.weight for layer in layers]),
                  torch.cat([layer.bias for layer in layers]))


def taps_of(convolution: DepthwiseConv2d) -> nn.ParameterList:
    """Return the weights of a depthwise convolution as (k k, C), and its bias."""
    assert convolution.bias is not None
    return nn.ParameterList([convolution.weight.flatten(1).T.contiguous(), convolution.bias])


def grid_of(image: Tensor) -> Grid:
    """Return (H, W) of (1, C, H, W)."""
    height, width = image.shape[2:]
    return height, width


def cells_of(image: Tensor) -> Tensor:
    """Return (1, C, H, W), channels last in memory, as (H W, C): nothing is copied."""
    return image.permute(0, 2, 3, 1).flatten(0, 2)
