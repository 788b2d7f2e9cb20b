# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""One optimizer step; on a GPU it is captured once and replayed from then on."""

from collections.abc import Callable
from contextlib import nullcontext
from functools import lru_cache, partial
from itertools import chain
import math
from pathlib import Path
from typing import Generic, TypeVar

import numpy as np
from segret_ros.network import MEAN, STD
from segret_train.recipe import Recipe
from segret_train.training.loss import Loss
from segret_train.training.process_group import ProcessGroup
import torch
from torch import nn, Tensor
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.parallel import DistributedDataParallel

EAGER_CALLS = 3  # before a capture: they fill caches and create the optimizer's state

Batch = tuple[Tensor, Tensor]
Result = TypeVar('Result')


class NonFiniteLoss(FloatingPointError):
    """A loss that is NaN or infinite; the weights are those from before the step."""


class TrainingStep:
    """
    An optimizer step: gradients of some batches, then the update of the weights.

    A GPU runs the thousands of kernels of a step faster than Python launches them. So on a GPU
    that trains alone, gradients and update are a CUDA graph each; the loss is checked in between.

    :param gradients: computes the gradients of batches on the group's device, and returns the loss
        of the whole step; must not wait for the device.
    :param update: changes the weights along their gradients; must not wait either.
    """

    def __init__(self, gradients: Callable[[list[Batch]], Tensor], update: Callable[[], None],
                 group: ProcessGroup) -> None:
        self.device = group.device
        self.batches: list[Batch] = []  # on the device, always in the same memory
        self.gradients: Callable[[], Tensor] = partial(gradients, self.batches)
        self.update = update
        if group.device.type == 'cuda' and group.size == 1:
            stream = torch.cuda.Stream()
            self.gradients = CapturedFunction(self.gradients, stream)
            self.update = CapturedFunction(update, stream)

    def __call__(self, batches: list[Batch]) -> float:
        """
        Take a step, together with all processes.

        :param batches: of this process, with the same sizes in each step.
        :return: the loss of the whole step.
        :raises NonFiniteLoss: on each process, before any changes its weights.
        """
        if not self.batches:
            self.batches += [(torch.empty_like(images, device=self.device),
                              torch.empty_like(targets, device=self.device))
                             for images, targets in batches]
        for own, given in zip(chain(*self.batches), chain(*batches), strict=True):
            own.copy_(given, non_blocking=True)
        loss = float(self.gradients())
        if not math.isfinite(loss):
            raise NonFiniteLoss(f'the loss is {loss}')
        self.update()
        return loss


class CapturedFunction(Generic[Result]):
    """
    A function that is captured as a CUDA graph after its first calls.

    :param function: works on the same memory in each call, without waiting for the GPU. What it
        returns is overwritten by the next call.
    :param stream: of the first calls and the capture.
    """

    def __init__(self, function: Callable[[], Result], stream: torch.cuda.Stream) -> None:
        self.function, self.stream = function, stream
        self.calls = 0
        self.graph: torch.cuda.CUDAGraph | None = None
        self.result: Result

    def __call__(self) -> Result:
        """Run the function on the current stream, or its graph once there is one."""
        self.calls += 1
        if self.calls <= EAGER_CALLS:
            return self._run_eagerly()
        if self.graph is None:
            self.graph = torch.cuda.CUDAGraph()
            # Other threads, such as the one that pins batches, may use the GPU meanwhile.
            with torch.cuda.graph(self.graph, stream=self.stream,
                                  capture_error_mode='thread_local'):
                self.result = self.function()
        self.graph.replay()
        return self.result

    def _run_eagerly(self) -> Result:
        """Run the function on the stream of the capture, as PyTorch requires before one."""
        current = torch.cuda.current_stream()
        self.stream.wait_stream(current)
        with torch.cuda.stream(self.stream):
            result = self.function()
        current.wait_stream(self.stream)
        return result


def compute_gradients(network: nn.Module, loss: Loss, group: ProcessGroup, autocast: bool,
                      batches: list[Batch]) -> Tensor:
    """
    Compute the gradients of a segmentation network, averaged over all processes.

    :param network: in training mode.
    :param autocast: whether to run the network in bfloat16 where PyTorch considers it safe.
    :param batches: of this process, on its device: images (B, H, W, 3) uint8 RGB and targets
        (B, H, W) uint8.
    :return: the loss of the whole step, equal on each process.
    """
    network.zero_grad()
    labelled = group.sum_values(sum(loss.labelled_weight(targets) for _, targets in batches))
    crops = group.size * sum(len(images) for images, _ in batches)
    total = torch.zeros((), device=group.device)
    for number, (images, targets) in enumerate(batches, 1):
        with _synchronised(network, number == len(batches)):
            inputs = normalised(images)
            with torch.autocast(group.device.type, torch.bfloat16, enabled=autocast):
                logits = network(inputs)
            part = loss(logits, inputs, targets, labelled, crops)
            (part * group.size).backward()  # gradients are averaged over processes, not summed
        total += part.detach()
    return group.sum_values(total)


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
    mean, std = _mean_and_std(images.device)
    return ((images - mean) / std).permute(0, 3, 1, 2)


@lru_cache
def _mean_and_std(device: torch.device) -> tuple[Tensor, Tensor]:
    return torch.tensor(MEAN, device=device), torch.tensor(STD, device=device)


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
