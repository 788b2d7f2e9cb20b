# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""One optimizer step."""

from contextlib import nullcontext
import math
from pathlib import Path

import numpy as np
from segret_ros.network import MEAN, STD
from segret_train.recipe import Recipe
from segret_train.training.loss import Loss
from segret_train.training.optimizer import Optimizers
from segret_train.training.process_group import ProcessGroup
import torch
from torch import nn, Tensor
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.parallel import DistributedDataParallel

Batch = tuple[Tensor, Tensor]


class NonFiniteLoss(FloatingPointError):
    """A loss that is NaN or infinite; the weights are those from before the step."""


def train_step(network: nn.Module, optimizer: Optimizers, batches: list[Batch], loss: Loss,
               group: ProcessGroup, autocast: bool = False) -> float:
    """
    Take one step, together with all processes.

    :param network: in training mode.
    :param batches: of this process: images (B, H, W, 3) uint8 RGB and targets (B, H, W) uint8.
    :param autocast: whether to run the network in bfloat16 where PyTorch considers it safe.
    :return: the loss of the whole step, equal on each process.
    :raises NonFiniteLoss: on each process, before any changes its weights.
    """
    batches = [(images.to(group.device, non_blocking=True),
                targets.to(group.device, non_blocking=True)) for images, targets in batches]
    labelled = group.sum_values(sum(loss.labelled_weight(targets) for _, targets in batches))
    crops = group.size * sum(len(images) for images, _ in batches)
    optimizer.zero_grad()
    total = torch.zeros((), device=group.device)
    for number, (images, targets) in enumerate(batches, 1):
        with _synchronised(network, number == len(batches)):
            inputs = normalised(images)
            with torch.autocast(group.device.type, torch.bfloat16, enabled=autocast):
                logits = network(inputs)
            part = loss(logits, inputs, targets, labelled, crops)
            (part * group.size).backward()  # gradients are averaged over processes, not summed
        total += part.detach()
    value = float(group.sum_values(total))
    if not math.isfinite(value):
        raise NonFiniteLoss(f'the loss is {value}')
    optimizer.step()
    return value


def _synchronised(network: nn.Module, now: bool) -> nullcontext:
    """Return a context whose backward pass averages gradients over the processes, or does not."""
    if now or not isinstance(network, DistributedDataParallel):
        return nullcontext()
    return network.no_sync()


def normalised(images: Tensor) -> Tensor:
    """
    Normalise images to network input, (B, 3, H, W) float32, channels last in memory.

    :param images: (B, H, W, 3) uint8 RGB.
    """
    mean, std = (torch.tensor(values, device=images.device) for values in (MEAN, STD))
    return ((images - mean) / std).permute(0, 3, 1, 2)


def start_training_mode(network: nn.Module, recipe: Recipe) -> None:
    """Put a network into training mode, except for statistics that the recipe freezes."""
    network.train()
    if recipe.freeze_batch_norm:
        for module in network.modules():
            if isinstance(module, _BatchNorm):
                module.eval()


def seed_step(recipe: Recipe, step: int, rank: int) -> None:
    """Seed dropout by recipe, step and process, so that a resumed run equals a whole one."""
    words = np.random.SeedSequence((recipe.seed, step, rank)).generate_state(2, np.uint32)
    torch.manual_seed(int(words[0]) << 32 | int(words[1]))


def save_batches(path: Path, batches: list[Batch], step: int) -> None:
    """Write the crops of a step, for `torch.load`."""
    torch.save({'step': step, 'images': torch.cat([images for images, _ in batches]),
                'targets': torch.cat([targets for _, targets in batches])}, path)
