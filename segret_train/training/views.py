# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""The stream of random views that a run learns from."""

from collections.abc import Iterator
import signal

import cv2
import numpy as np
from segret_train.augmentation import augment
from segret_train.datasets import DataError, Sample
from segret_train.recipe import Recipe
from segret_train.training.step import Batch
from segret_train.training.world import World
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, default_collate

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Views(Dataset):
    """
    An endless stream of random views, each a function of the seed and its number alone.

    That makes a resumed run see exactly what an uninterrupted one does, and several processes
    together exactly what a single one does.
    """

    def __init__(self, samples: list[Sample], recipe: Recipe) -> None:
        self.samples = samples
        self.recipe = recipe

    def __getitem__(self, number: int) -> tuple[Tensor, Tensor]:
        """Give view `number`: (H, W, 3) uint8 RGB, (H, W) uint8 with 255 as unknown."""
        epoch, position = divmod(number, len(self.samples))
        order = np.random.default_rng((self.recipe.seed, epoch)).permutation(len(self.samples))
        sample = self.samples[order[position]]
        random = np.random.default_rng((self.recipe.seed, epoch, position))
        image, label = augment(sample.image(), sample.label(), self.recipe, random)
        return torch.from_numpy(image), torch.from_numpy(label)


class Batches:
    """
    The numbers of the views of each batch of a process, from a step to the last one.

    A step takes the next views of the stream, batch by batch, each process its part of a batch.
    """

    def __init__(self, recipe: Recipe, world: World, first_step: int) -> None:
        self.recipe = recipe
        self.world = world
        self.first_step = first_step

    def __len__(self) -> int:
        return (self.recipe.iterations - self.first_step) * self.recipe.accumulate

    def __iter__(self) -> Iterator[range]:
        size = self.recipe.batch_size
        first = self.first_step * self.recipe.accumulate
        for batch in range(first, first + len(self)):
            start = (batch * self.world.size + self.world.rank) * size
            yield range(start, start + size)


class ErrorsAsItems(Dataset):
    """
    Views, or the errors of making them: of one that is raised PyTorch makes a page of text.

    :param views: a data set of views.
    """

    def __init__(self, views: Dataset) -> None:
        self.views = views

    def __getitem__(self, number: int) -> tuple[Tensor, Tensor] | DataError:
        """Return view `number`, or why there is none."""
        try:
            return self.views[number]
        except DataError as error:
            return error


def load_views(views: Views, world: World, first_step: int, workers: int) -> Iterator[Batch]:
    """
    Yield the batches from a step on, made by worker processes.

    :param workers: processes; 0 makes views in this one.
    :return: (B, H, W, 3) and (B, H, W) uint8.
    :raises DataError: for a file that can't be read.
    """
    loader = DataLoader(ErrorsAsItems(views), collate_fn=_collate,
                        batch_sampler=Batches(views.recipe, world, first_step),
                        num_workers=workers, multiprocessing_context='fork' if workers else None,
                        worker_init_fn=_start_worker, pin_memory=world.device.type == 'cuda')
    for batch in loader:
        if isinstance(batch, DataError):
            raise batch
        yield batch


def _collate(items: list[tuple[Tensor, Tensor] | DataError]) -> Batch | DataError:
    error = next((item for item in items if isinstance(item, DataError)), None)
    return error or default_collate(items)


def _start_worker(worker: int) -> None:
    cv2.setNumThreads(0)  # more would take the cores from the training
    for number in STOP_SIGNALS:  # the parent is the one to stop
        signal.signal(number, signal.SIG_IGN)
