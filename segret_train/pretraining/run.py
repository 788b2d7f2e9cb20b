# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""A pretraining run in a folder."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
import json
from pathlib import Path
from typing import Literal

from jsonargparse.typing import NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt
import numpy as np
from segret_ros.files.output_folder import Layout
from segret_ros.network import save_backbone, SegRet
from segret_train.pretraining.images import ImageViews
from segret_train.recipe import Recipe
from segret_train.training import state
from segret_train.training.optimizer import learning_rate_at, make_optimizer, set_learning_rate
from segret_train.training.state import load_state, save_state
from segret_train.training.step import normalised
from segret_train.training.views import load_views
from segret_train.training.world import World
import torch
from torch import nn
from tqdm import tqdm

BACKBONE = 'backbone.safetensors'
SAVE_EVERY = 200  # steps
LAYOUT = Layout('segret_train pretrain', (BACKBONE, state.NAME),
                signatures=(frozenset({BACKBONE, state.NAME}),), grows=True)


@dataclass(frozen=True)
class Pretraining:
    """
    What a pretraining run is made of, beside where its images lie.

    :param variant: network size.
    :param task: distillation learns ImageNet's features of EfficientNet-Lite2 on any images;
        classification learns which folder an image lies in.
    :param iterations: optimiser steps.
    :param batch_size: views of a step.
    :param learning_rate: at its peak; falls to 0 at the last step.
    :param muon_rate: as of `Recipe`.
    :param warmup: steps of linear growth of the learning rate.
    :param weight_decay: of the optimiser.
    :param crop: height and width of a view.
    :param scale_range: smallest and largest random scale of a view.
    :param seed: of weights, views and stochastic depth.
    """

    variant: Literal['nano', 'tiny', 'small', 'base', 'large'] = 'nano'
    task: Literal['distillation', 'classification'] = 'distillation'
    iterations: PositiveInt = 1400
    batch_size: PositiveInt = 8
    learning_rate: PositiveFloat = 2e-3
    muon_rate: NonNegativeFloat = 4.0
    warmup: NonNegativeInt = 50
    weight_decay: PositiveFloat = 0.01
    crop: tuple[PositiveInt, PositiveInt] = (256, 320)
    scale_range: tuple[PositiveFloat, PositiveFloat] = (0.5, 1.6)
    seed: NonNegativeInt = 0

    def values(self) -> dict:
        """Give the values as JSON holds them."""
        return json.loads(json.dumps(asdict(self)))

    def recipe(self) -> Recipe:
        """Give what views and schedule follow from."""
        values = asdict(self)
        del values['task']
        return Recipe(dataset='', **values)


class PretrainingRun:
    """
    A run, which can stop at any step and go on there.

    The folder holds `last.pt` (all that a resumed run needs) and `backbone.safetensors`.

    :param task: see `tasks`; its backbone is the network's.
    :raises ValueError: for a damaged state, or a run begun with other values.
    """

    def __init__(self, settings: Pretraining, network: SegRet, task: nn.Module, views: ImageViews,
                 output: Path) -> None:
        self.settings, self.network, self.views, self.output = settings, network, views, output
        self.task = task.to(memory_format=torch.channels_last).train()
        self.optimizer = make_optimizer(task, settings.recipe())
        self.step = 0
        self.losses: list[float] = []
        if saved := load_state(output, settings, 1):
            self.task.load_state_dict(saved['task'])
            self.optimizer.load_state_dict(saved['optimizer'])
            self.step = saved['step']

    def train(self, stopped: Callable[[], bool] = lambda: False) -> None:
        """
        Take the steps that are left.

        :param stopped: asked after each step; true saves and ends the run early.
        """
        recipe = self.settings.recipe()
        batches = load_views(self.views, World('cpu'), self.step, workers=1)
        bar = tqdm(batches, total=recipe.iterations, initial=self.step, unit='step', mininterval=2)
        for images, classes in bar:
            torch.manual_seed(recipe.seed + self.step)  # a resumed run is as a whole one
            set_learning_rate(self.optimizer, learning_rate_at(recipe, self.step))
            loss = self.task(normalised(images), classes)
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
            self.losses.append(loss.item())
            self.step += 1
            bar.set_postfix(loss=f'{np.mean(self.losses[-100:]):.3f}', refresh=False)
            if stopped() or self.step == recipe.iterations or not self.step % SAVE_EVERY:
                self._save()
            if stopped():
                break

    def _save(self) -> None:
        save_backbone(self.network, self.output / BACKBONE,
                      {'pretraining': self.settings.values(), 'images': len(self.views.images),
                       'step': self.step})
        save_state(self.output, self.settings, 1,
                   {'task': self.task.state_dict(), 'optimizer': self.optimizer.state_dict(),
                    'step': self.step})
