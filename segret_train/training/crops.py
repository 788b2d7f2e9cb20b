# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""The stream of random crops that a run learns from."""

from collections.abc import Iterator, Sequence
import os
import signal
from typing import Any

import cv2
import numpy as np
from segret_train.augmentation import augment
from segret_train.datasets import DataError, Sample
from segret_train.recipe import Recipe
from segret_train.training.process_group import ProcessGroup
from segret_train.training.step import Batch
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, default_collate

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Crops(Dataset):
    """
    An endless stream of random crops, each a function of only the seed and its number.

    So a resumed run sees exactly what an uninterrupted one does, and several processes together
    see exactly what a single one does.
    """

    def __init__(self, samples: Sequence[Any], recipe: Recipe) -> None:
        self.samples = samples
        self.recipe = recipe

    def __getitem__(self, number: int) -> tuple[Tensor, Tensor | int] | DataError:
        """Return a crop, or the error of making it: PyTorch would turn a raised one into pages."""
        epoch, position = divmod(number, len(self.samples))
        order = np.random.default_rng((self.recipe.seed, epoch)).permutation(len(self.samples))
        random = np.random.default_rng((self.recipe.seed, epoch, position))
        try:
            return self.crop(self.samples[order[position]], random)
        except DataError as error:
            return error

    def crop(self, sample: Sample, random: np.random.Generator) -> tuple[Tensor, Tensor]:
        """Return (H, W, 3) uint8 RGB and (H, W) uint8 with 255 to ignore."""
        image, label = augment(sample.image(), sample.label(), self.recipe, random)
        return torch.from_numpy(image), torch.from_numpy(label)


class BatchNumbers:
    """
    The numbers of the crops in each batch of a process, from one step to the last.

    A step takes the next crops of the stream, batch by batch; each process takes its part of a
    batch.
    """

    def __init__(self, recipe: Recipe, group: ProcessGroup, first_step: int) -> None:
        self.recipe = recipe
        self.group = group
        self.first_step = first_step

    def __len__(self) -> int:
        return (self.recipe.iterations - self.first_step) * self.recipe.accumulate

    def __iter__(self) -> Iterator[range]:
        size = self.recipe.batch_size
        first = self.first_step * self.recipe.accumulate
        for batch in range(first, first + len(self)):
            start = (batch * self.group.size + self.group.rank) * size
            yield range(start, start + size)


def default_workers(group: ProcessGroup) -> int:
    """Return the number of processes that load crops: a CPU that trains can spare one core."""
    if group.device.type == 'cpu':
        return 1
    cores = len(os.sched_getaffinity(0)) // int(os.environ.get('LOCAL_WORLD_SIZE', 1))
    return min(max(cores - 1, 1), 8)


def load_batches(crops: Crops, group: ProcessGroup, first_step: int,
                 workers: int) -> Iterator[Batch]:
    """
    Yield batches from a step on, made by worker processes.

    :param workers: number of processes; 0 makes the crops in this one.
    :return: (B, H, W, 3) uint8 RGB and what belongs to it.
    :raises DataError: for a file that can't be read.
    """
    loader = DataLoader(crops, collate_fn=_collate,
                        batch_sampler=BatchNumbers(crops.recipe, group, first_step),
                        num_workers=workers, multiprocessing_context='fork' if workers else None,
                        worker_init_fn=_start_worker, pin_memory=group.device.type == 'cuda')
    for batch in loader:
        if isinstance(batch, DataError):
            raise batch
        yield batch


def _collate(items: list[tuple[Tensor, Tensor | int] | DataError]) -> Batch | DataError:
    error = next((item for item in items if isinstance(item, DataError)), None)
    return error or default_collate(items)


def _start_worker(worker: int) -> None:
    cv2.setNumThreads(0)  # more threads would take cores from the training
    for number in STOP_SIGNALS:  # the parent handles them
        signal.signal(number, signal.SIG_IGN)
