# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
A larger network that starts as a trained smaller one.

Source: Chen, Goodfellow, Shlens: Net2Net, Accelerating learning via knowledge transfer, ICLR 2016.
"""

from pathlib import Path
import re

from segret_ros.network import load_checkpoint, SegRet
from segret_ros.network.backbone import RetentionBlock, Stage
import torch
from torch import nn, Tensor

SPREAD = 0.25  # of the half that each of two copies has in what reads them: so they learn apart


def grow(network: SegRet, path: str | Path) -> None:
    """
    Give a network the function of a smaller one: all channels twice, further blocks silent.

    Copied heads have the nearest decay. A stage that attends over rows and columns in the one
    network and over all cells in the other only starts near the smaller one's function.

    :param network: changed in place.
    :param path: checkpoint of the smaller one, of the same classes.
    :raises ValueError: where classes differ, widths and heads are not twice the smaller one's, or
        a stage has fewer blocks.
    """
    small = load_checkpoint(path)
    pairs = list(zip(network.backbone.stages, small.backbone.stages))
    shapes = {key: value.shape for key, value in network.state_dict().items()}
    grown = {key: _grown(key, value, shapes[key], small) for key, value in
             small.state_dict().items() if key in shapes}
    if (any(_heads(own) != 2 * _heads(other) or len(own.blocks) < len(other.blocks)
            for own, other in pairs)
            or any(value.shape != shapes[key] for key, value in grown.items())):
        raise ValueError(f'{path}: a {small.variant} of {small.num_classes} classes does not grow '
                         f'into a {network.variant} of {network.num_classes}, which must have the '
                         'same classes, twice the widths and heads, and no fewer blocks')
    network.load_state_dict(grown, strict=False)
    for own, other in pairs:
        for block in own.blocks[len(other.blocks):]:
            _silence(block)


def _grown(key: str, weight: Tensor, shape: torch.Size, small: SegRet) -> Tensor:
    """
    Give a parameter in twice its size, where its counterpart has that.

    :param shape: of the counterpart.
    """
    stage = re.match(r'backbone\.stages\.(\d)\.blocks\.\d+\.retention\.', key)
    heads = _heads(small.backbone.stages[int(stage[1])]) if stage else 1
    reads_heads = '.retention.output.' in key
    if weight.ndim and shape[0] == 2 * len(weight):
        parts = 1 if reads_heads else heads
        weight = _side_by_side(weight, weight, 0, parts)
    if weight.ndim > 1 and shape[1] == 2 * weight.shape[1]:
        parts = len(small.decoder.levels) if key == 'decoder.fuse.weight' else 1
        first = weight * (0.5 + SPREAD * (2 * torch.rand_like(weight) - 1))
        weight = _side_by_side(first, weight - first, 1, heads if reads_heads else parts)
    return weight


def _heads(stage: Stage) -> int:
    return stage.blocks[0].retention.heads


def _side_by_side(first: Tensor, second: Tensor, dim: int, parts: int) -> Tensor:
    """Give two tensors along a dimension, part by part: the first's, the second's, and so on."""
    pairs = [tensor.unflatten(dim, (parts, -1)) for tensor in (first, second)]
    return torch.stack(pairs, dim + 1).flatten(dim, dim + 2)


def _silence(block: RetentionBlock) -> None:
    """Make a block give what it gets."""
    for layer in (block.position, block.retention.output, block.ffn[-1]):
        nn.init.zeros_(layer.weight)
        nn.init.zeros_(layer.bias)
