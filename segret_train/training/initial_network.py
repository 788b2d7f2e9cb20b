# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
The network that a run starts with: random, with a trained backbone, or grown from a smaller one.

Growth is after Chen, Goodfellow, Shlens: Net2Net, Accelerating learning via knowledge transfer,
ICLR 2016.
"""

from pathlib import Path
import re
from typing import Any

from segret_ros.network import load_backbone, load_checkpoint, SegRet, VARIANTS
from segret_ros.network.backbone import RetentionBlock
from segret_train.protocol import to_device
from segret_train.recipe import Recipe
from segret_train.teacher import NAME, Teacher
import torch
from torch import nn, Tensor

SPREAD = 0.25  # by which the halves of a shared weight differ at most, so that copies learn apart


def make_network(recipe: Recipe, classes: int, device: torch.device) -> SegRet:
    """
    Make the network that a recipe starts with, or a `Teacher` in its place, on a device.

    :raises CheckpointError: for a backbone that does not fit.
    :raises ValueError: for a smaller network that can't grow into this one, or if the teacher's
        packages are missing.
    """
    torch.manual_seed(recipe.seed)
    if recipe.variant == NAME:
        teacher: Any = Teacher(classes)
        return to_device(teacher, device)
    network: Any = SegRet(recipe.variant, classes, recipe.decoder_channels)
    network.decoder.dropout.p = recipe.dropout
    if recipe.drop_path is not None:
        blocks = [block for stage in network.backbone.stages for block in stage.blocks]
        for block, chance in zip(blocks, torch.linspace(0, recipe.drop_path, len(blocks))):
            block.drop_path = float(chance)
    if recipe.backbone:
        load_backbone(network, recipe.backbone)
    if recipe.grown_from:
        grow(network, recipe.grown_from)
    if device.type == 'cuda':  # not implemented on the CPU, nor needed by a single process
        network = nn.SyncBatchNorm.convert_sync_batchnorm(network)
    return to_device(network, device)


def grow(network: SegRet, path: str | Path) -> None:
    """
    Make a network compute what a smaller one does: each channel twice, further blocks silent.

    Copied heads have the nearest decay. Where a stage attends over rows and columns in one network
    and over all cells in the other, the function is only close to the smaller one's.

    :param network: changed in place.
    :param path: checkpoint of the smaller network, with the same classes.
    :raises ValueError: unless classes are the same, widths and heads twice the smaller network's,
        and no stage has fewer blocks.
    """
    small = load_checkpoint(path)
    pairs: Any = list(zip(network.backbone.stages, small.backbone.stages))
    shapes = {key: value.shape for key, value in network.state_dict().items()}
    grown = {key: _grown(key, value, shapes[key], small) for key, value in
             small.state_dict().items() if key in shapes}
    heads, small_heads = (VARIANTS[name].heads for name in (network.variant, small.variant))
    if (heads != tuple(2 * number for number in small_heads)
            or any(len(own.blocks) < len(other.blocks) for own, other in pairs)
            or any(value.shape != shapes[key] for key, value in grown.items())):
        raise ValueError(f"{path}: a {small.variant} of {small.num_classes} classes can't grow "
                         f'into a {network.variant} of {network.num_classes}, which must have the '
                         'same classes, twice the widths and heads, and no fewer blocks')
    network.load_state_dict(grown, strict=False)
    for own, other in pairs:
        for block in own.blocks[len(other.blocks):]:
            _silence(block)


def _grown(key: str, weight: Tensor, shape: torch.Size, small: SegRet) -> Tensor:
    """
    Double the dimensions of a parameter in which its counterpart is twice as large.

    :param shape: of the counterpart.
    """
    stage = re.match(r'backbone\.stages\.(\d)\.blocks\.\d+\.retention\.', key)
    heads = VARIANTS[small.variant].heads[int(stage[1])] if stage else 1
    reads_heads = '.retention.output.' in key
    if weight.ndim and shape[0] == 2 * len(weight):
        parts = 1 if reads_heads else heads
        weight = _side_by_side(weight, weight, 0, parts)
    if weight.ndim > 1 and shape[1] == 2 * weight.shape[1]:
        parts = len(small.decoder.levels) if key == 'decoder.fuse.weight' else 1
        first = weight * (0.5 + SPREAD * (2 * torch.rand_like(weight) - 1))
        weight = _side_by_side(first, weight - first, 1, heads if reads_heads else parts)
    return weight


def _side_by_side(first: Tensor, second: Tensor, dim: int, parts: int) -> Tensor:
    """Interleave two tensors along a dimension, part by part."""
    pairs = [tensor.unflatten(dim, (parts, -1)) for tensor in (first, second)]
    return torch.stack(pairs, dim + 1).flatten(dim, dim + 2)


def _silence(block: RetentionBlock) -> None:
    """Make a block the identity."""
    layers: Any = block.position, block.retention.output, block.ffn[-1]
    for layer in layers:
        nn.init.zeros_(layer.weight)
        nn.init.zeros_(layer.bias)
