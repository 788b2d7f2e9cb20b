# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""The network that a recipe asks for, before its first step."""

from segret_ros.network import load_backbone, SegRet
from segret_train.growth import grow
from segret_train.recipe import Recipe
from segret_train.teacher import NAME, Teacher
import torch
from torch import nn


def make_network(recipe: Recipe, classes: int, device: torch.device) -> SegRet | Teacher:
    """
    Give a network of the recipe's first weights, on a device.

    :raises CheckpointError: for a backbone that does not fit.
    :raises ValueError: for a smaller network that does not grow into this one, or for the
        teacher's network without its packages.
    """
    torch.manual_seed(recipe.seed)
    if recipe.variant == NAME:
        return Teacher(classes).to(device, memory_format=torch.channels_last)
    network = SegRet(recipe.variant, classes, recipe.decoder_channels)
    network.decoder.dropout.p = recipe.dropout
    if recipe.drop_path is not None:
        blocks = [block for stage in network.backbone.stages for block in stage.blocks]
        for block, chance in zip(blocks, torch.linspace(0, recipe.drop_path, len(blocks))):
            block.drop_path = float(chance)
    if recipe.backbone:
        load_backbone(network, recipe.backbone)
    if recipe.grown_from:
        grow(network, recipe.grown_from)
    if device.type == 'cuda':  # the CPU knows no such norm, and needs none alone
        network = nn.SyncBatchNorm.convert_sync_batchnorm(network)
    return network.to(device, memory_format=torch.channels_last)
