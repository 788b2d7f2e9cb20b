# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""One step of the optimiser."""

from contextlib import nullcontext
import math
from pathlib import Path

import numpy as np
from segret_ros.network import MEAN, STD
from segret_train.recipe import Recipe
from segret_train.training.objective import Objective
from segret_train.training.optimizer import Optimizers
from segret_train.training.world import World
import torch
from torch import nn, Tensor
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.parallel import DistributedDataParallel

Batch = tuple[Tensor, Tensor]


class NonFiniteLoss(FloatingPointError):
    """A loss that is no number; the weights are those of before the step."""


def train_step(network: nn.Module, optimizer: Optimizers, batches: list[Batch],
               objective: Objective, world: World, autocast: bool = False) -> float:
    """
    Take one step, together with all processes.

    :param network: in training mode.
    :param batches: of this process: images (B, H, W, 3) uint8 RGB and targets (B, H, W) uint8.
    :param autocast: run the network in bfloat16 where PyTorch holds it safe.
    :return: the loss of the whole step, equal on each process.
    :raises NonFiniteLoss: on each process, and no process has changed its weights.
    """
    batches = [(images.to(world.device, non_blocking=True),
                targets.to(world.device, non_blocking=True)) for images, targets in batches]
    labelled = world.sum_values(sum(objective.labelled(targets) for _, targets in batches))
    views = world.size * sum(len(images) for images, _ in batches)
    optimizer.zero_grad()
    total = torch.zeros((), device=world.device)
    for number, (images, targets) in enumerate(batches, 1):
        with synchronised(network, number == len(batches)):
            inputs = normalised(images)
            with torch.autocast(world.device.type, torch.bfloat16, enabled=autocast):
                logits = network(inputs)
            loss = objective(logits, inputs, targets, labelled, views)
            (loss * world.size).backward()  # for the gradients' mean over processes is their sum
        total += loss.detach()
    value = float(world.sum_values(total))
    if not math.isfinite(value):
        raise NonFiniteLoss(f'the loss is {value}')
    optimizer.step()
    return value


def synchronised(network: nn.Module, now: bool) -> nullcontext:
    """Give the context of a backward pass, after which the processes' gradients are averaged."""
    if now or not isinstance(network, DistributedDataParallel):
        return nullcontext()
    return network.no_sync()


def normalised(images: Tensor) -> Tensor:
    """
    Give the network's input, (B, 3, H, W) float32, channels last in memory.

    :param images: (B, H, W, 3) uint8 RGB.
    """
    mean, std = (torch.tensor(values, device=images.device) for values in (MEAN, STD))
    return ((images - mean) / std).permute(0, 3, 1, 2)


def start_training_mode(network: nn.Module, recipe: Recipe) -> None:
    """Put a network into training mode, but for statistics that the recipe freezes."""
    network.train()
    if recipe.freeze_batch_norm:
        for module in network.modules():
            if isinstance(module, _BatchNorm):
                module.eval()


def seed_step(recipe: Recipe, step: int, rank: int) -> None:
    """Make dropout a function of the seed, the step and the process: resumed runs are whole."""
    words = np.random.SeedSequence((recipe.seed, step, rank)).generate_state(2, np.uint32)
    torch.manual_seed(int(words[0]) << 32 | int(words[1]))


def save_batches(path: Path, batches: list[Batch], step: int) -> None:
    """Write what a step was made of, for `torch.load`."""
    torch.save({'step': step, 'images': torch.cat([images for images, _ in batches]),
                'targets': torch.cat([targets for _, targets in batches])}, path)
