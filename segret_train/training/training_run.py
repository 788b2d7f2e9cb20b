# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""A training run in a folder."""

from collections.abc import Callable, Iterator
from functools import partial
from itertools import islice
from pathlib import Path
import time
from typing import Any

import numpy as np
from segret_ros.files.output_folder import Layout, OutputFolder
from segret_ros.labels.metrics import ConfusionMatrix
from segret_ros.network import save_checkpoint, SegRet
from segret_train.datasets import DataError, DataSet
from segret_train.protocol import predict, Protocol
from segret_train.recipe import Recipe
from segret_train.training.crops import Crops, load_batches
from segret_train.training.initial_network import make_network
from segret_train.training.loss import balanced_weights, Loss
from segret_train.training.optimizer import (
    learning_rate_at,
    make_optimizer,
    MovingAverage,
    set_learning_rate,
)
from segret_train.training.process_group import ProcessGroup
from segret_train.training.run_files import (
    load_state,
    LOG,
    Log,
    remove_partial_files,
    save_state,
    STATE,
)
from segret_train.training.step import (
    Batch,
    compute_gradients,
    NonFiniteLoss,
    save_batches,
    seed_step,
    start_training_mode,
    TrainingStep,
)
from tqdm import tqdm

LOG_EVERY = 50  # steps
BEST, RECIPE, REPORT = 'best.safetensors', 'recipe.yaml', 'report.html'
LAYOUT = Layout('segret_train', (BEST, RECIPE, REPORT, STATE, LOG, 'tensorboard/*',
                                 'bad_batch_*.pt'),
                signatures=(frozenset({RECIPE, STATE}),), grows=True)


class TrainingRun:
    """
    A training run in a folder, which can stop at any step and resume there.

    The folder holds `recipe.yaml`, `last.pt` (all that a resumed run needs), `best.safetensors`
    (the best on val), `log.jsonl` and TensorBoard's files.

    :param data: trained on its train split, validated on its val split.
    :param output: the run's folder, which all processes see; a run that began there is resumed.
    :param workers: processes that make the crops of this one; 0 makes them here.
    :raises ValueError: for unusable data, a corrupt state, a run begun with another recipe, or a
        folder that is not a run's to fill.
    """

    def __init__(self, recipe: Recipe, data: DataSet, output: Path, group: ProcessGroup,
                 workers: int = 1) -> None:
        self.recipe, self.data, self.output, self.group = recipe, data, output, group
        self.workers = workers
        self.crops = Crops(data.samples('train'), recipe)
        self.validation = data.samples('val')
        weights = balanced_weights(self.crops.samples, len(data.labels), recipe.class_balance) \
            if recipe.class_balance else None
        self.loss = Loss(recipe, len(data.labels), group.device, weights)
        self.network = make_network(recipe, len(data.labels), group.device)
        self.optimizer = make_optimizer(self.network, recipe)
        self.average = MovingAverage(self.network, recipe.ema) if recipe.ema else None
        self.step, self.seconds, self._clock = 0, 0.0, 0.0
        self.losses: list[float] = []  # since the last record
        self.best: dict[str, Any] = {}  # of the best validation: val_miou, step, confusion, frames
        if group.is_first:
            OutputFolder(LAYOUT, output, [data.root, *filter(None, (
                recipe.dataset, recipe.backbone, recipe.grown_from, recipe.teacher))])
        records: list[dict[str, Any]] = []
        if saved := load_state(output, recipe, group.size):
            records = self._restore(saved)
        self.log = None
        if group.is_first:
            remove_partial_files(output, (STATE, LOG, BEST, RECIPE))
            recipe.save(output / RECIPE)
            self.log = Log(output, records)

    @property
    def best_miou(self) -> float:
        """Return the best mIoU on val so far, 0..1; negative before the first validation."""
        return self.best.get('val_miou', -1.0)

    @property
    def scored_network(self) -> SegRet:
        """Return the network to validate and save: the moving average where there is one."""
        average: Any = self.average
        return average.module if average else self.network

    @property
    def crops_per_step(self) -> int:
        """Return the number of crops that all processes together take in a step."""
        return self.recipe.batch_size * self.recipe.accumulate * self.group.size

    def train(self, stopped: Callable[[], bool] = lambda: False) -> float:
        """
        Take the remaining steps.

        :param stopped: asked after each step; true on any process saves and ends all of them.
        :return: the best mIoU on the val split so far, see `best_miou`.
        :raises NonFiniteLoss: naming the file that holds the step's crops.
        """
        network = self.group.distribute(self.network)
        start_training_mode(network, self.recipe)
        gradients = partial(compute_gradients, network, self.loss, self.group,
                            self.group.autocasts(self.recipe.precision))
        take_step = TrainingStep(gradients, self._update, self.group)
        with self._progress_bar() as bar:
            self._clock = time.monotonic()
            for batches in self._steps():
                self.losses.append(self._step(take_step, batches))
                self.step += 1
                bar.set_postfix(loss=f'{self.losses[-1]:.3f}', refresh=False)
                bar.update(self.crops_per_step)
                if self._is_to_validate():
                    bar.set_description('validating')
                    self._validate()
                    bar.set_description(f'best mIoU {self.best_miou:.1%}')
                    start_training_mode(network, self.recipe)
                elif not self.step % LOG_EVERY:
                    self._record(self._steps_record())
                if self.group.any_process(stopped()):
                    self._stop()
                    break
        return self.best_miou

    def _progress_bar(self) -> tqdm:
        size = self.crops_per_step
        return tqdm(total=self.recipe.iterations * size, initial=self.step * size, unit='image',
                    mininterval=2, disable=not self.group.is_first)

    def _steps(self) -> Iterator[list[Batch]]:
        """Yield the batches of each remaining step."""
        loaded = iter(load_batches(self.crops, self.group, self.step, self.workers))
        while batches := list(islice(loaded, self.recipe.accumulate)):
            yield batches

    def _update(self) -> None:
        """Update the weights along their gradients, and then their average."""
        self.optimizer.step()
        if self.average:
            self.average.update()

    def _step(self, take_step: TrainingStep, batches: list[Batch]) -> float:
        """Take a step and return its loss."""
        seed_step(self.recipe, self.step, self.group.rank)
        set_learning_rate(self.optimizer, learning_rate_at(self.recipe, self.step))
        try:
            return take_step(batches)
        except NonFiniteLoss as error:
            path = self.output / f'bad_batch_{self.group.rank}.pt'
            save_batches(path, batches, self.step)
            raise NonFiniteLoss(
                f'{error} at step {self.step}, whose crops are in {path}: if they are sound, '
                f'lower --learning-rate ({self.recipe.learning_rate:g})') from error

    def _is_to_validate(self) -> bool:
        return self.step == self.recipe.iterations or not self.step % self.recipe.validate_every

    def _stop(self) -> None:
        if self.losses:
            self._record(self._steps_record())
        self._save()

    def _validate(self) -> None:
        """Score the network, write it if it is the best so far, and save."""
        record = self._steps_record()
        network = self.scored_network.eval()
        self.group.align_buffers(network)
        confusion, frames = self._score(network)
        miou = confusion.mean_iou()
        if np.isnan(miou):
            raise DataError(f'{self.data.title("val")}: none of its {len(self.validation)} frames '
                            'has a labelled pixel, so there is no best network: label some')
        iou = {name: round(value, 4) for name, value
               in zip(self.data.labels.names, confusion.iou().tolist()) if value == value}
        if miou > self.best_miou:
            self.best = {'val_miou': miou, 'step': self.step, 'frames': frames,
                         'confusion': confusion.counts.tolist()}
            if self.group.is_first:
                labels = self.data.labels
                save_checkpoint(network, self.output / BEST, list(labels.names),
                                [list(color) for color in labels.colors],
                                {**self._origin(), 'val_miou': miou, 'val_iou': iou})
        self._pass_time()
        self._record({**record, 'val_miou': miou,
                      **{f'val_iou/{name}': share for name, share in iou.items()}})
        self._save()

    def _score(self, network: SegRet) -> tuple[ConfusionMatrix, dict[str, float]]:
        """Score a network on val, equally on each process: as a whole, and frames by mean IoU."""
        confusion = ConfusionMatrix(network.num_classes)
        frames = {}
        for sample in self.group.share(self.validation):
            frame = ConfusionMatrix(network.num_classes)
            frame.add(sample.label(), self.label(network, sample.image()))
            confusion.counts += frame.counts
            frames[sample.name] = frame.mean_iou()
        confusion.counts = self.group.sum_counts(confusion.counts)
        return confusion, self.group.merge(frames)

    def label(self, network: SegRet, image_rgb: np.ndarray) -> np.ndarray:
        """Label a whole image, (H, W, 3) uint8, at the recipe's size, as (H, W) uint8."""
        size, = Protocol(self.recipe.short_side).sizes(image_rgb.shape[:2])
        return predict(network, image_rgb, size)

    def _pass_time(self) -> float:
        """Return the seconds since the last call, and add them to the run's."""
        before, self._clock = self._clock, time.monotonic()
        self.seconds += self._clock - before
        return self._clock - before

    def _steps_record(self) -> dict[str, Any]:
        """Return a record of the steps since the last one."""
        record = {'step': self.step, 'loss': float(np.mean(self.losses)),
                  'learning_rate': learning_rate_at(self.recipe, self.step - 1),
                  'images_per_second': len(self.losses) * self.crops_per_step / self._pass_time()}
        self.losses.clear()
        return record

    def _record(self, record: dict[str, Any]) -> None:
        if self.log:
            self.log.add({**record, 'seconds': round(self.seconds)})

    def _origin(self) -> dict[str, Any]:
        train, val = map(self.data.title, ('train', 'val'))
        return {'data': f'{train}, {len(self.crops.samples)} frames',
                'val_data': f'{val}, {len(self.validation)} frames, single scale',
                'step': self.step, 'recipe': self.recipe.values()}

    def _save(self) -> None:
        if self.log is None:
            return
        save_state(self.output, self.recipe, self.group.size, {
            'step': self.step, 'seconds': self.seconds, 'best': self.best,
            'records': self.log.records, 'network': self.network.state_dict(),
            'average': self.average.state_dict() if self.average else None,
            'optimizer': self.optimizer.state_dict()})
        self.log.save()

    def _restore(self, saved: dict[str, Any]) -> list[dict[str, Any]]:
        """Restore a state and return its records."""
        self.step, self.seconds, self.best = saved['step'], saved['seconds'], saved['best']
        self.network.load_state_dict(saved['network'])
        if self.average:
            self.average.load_state_dict(saved['average'])
        self.optimizer.load_state_dict(saved['optimizer'])
        return saved['records']
