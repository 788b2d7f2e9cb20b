"""Train SegRet: `segret_train --data CAMVID --variant nano --output runs/nano`."""

import argparse
from collections.abc import Callable
from dataclasses import asdict, dataclass
import json
from pathlib import Path
import signal
import sys
import time

import numpy as np
from segret_ros.atomic import atomic_path
from segret_ros.label_set import UNKNOWN
from segret_ros.network import MEAN, save_checkpoint, SegRet, STD, VARIANTS
from segret_train.augmentation import augment
from segret_train.datasets import DataSet, open_data_set, Sample
from segret_train.evaluation import predict, score
import torch
from torch import nn, Tensor
from torch.nn import functional
from torch.utils.data import DataLoader, Dataset
from tqdm import tqdm

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)
EXIT_STOPPED = 130  # as a shell tells Ctrl-C


@dataclass(frozen=True)
class Recipe:
    """
    What a training run is made of, beside its data.

    :param iterations: optimiser steps.
    :param batch_size: views a step.
    :param crop: (height, width) of a view.
    :param learning_rate: at its peak, after the warm-up; it falls to 0 by poly power 0.9.
    :param warmup: steps of linear growth from 0.
    """

    variant: str
    iterations: int
    batch_size: int
    crop: tuple[int, int]
    learning_rate: float
    weight_decay: float
    warmup: int
    seed: int

    def learning_rate_at(self, iteration: int) -> float:
        """Give the learning rate of a step, 0..iterations - 1."""
        poly = (1 - iteration / self.iterations) ** 0.9
        return self.learning_rate * poly * min(1, (iteration + 1) / max(self.warmup, 1))


class Views(Dataset):
    """
    An endless stream of random views, each a function of the seed and its number alone.

    That makes a resumed run see exactly what an uninterrupted one does.
    """

    def __init__(self, samples: list[Sample], recipe: Recipe) -> None:
        self.samples = samples
        self.recipe = recipe

    def __len__(self) -> int:
        return self.recipe.iterations * self.recipe.batch_size

    def __getitem__(self, number: int) -> tuple[Tensor, Tensor]:
        """Give view `number`: (3, H, W) float32 normalised, (H, W) int64 with 255 as unknown."""
        epoch, position = divmod(number, len(self.samples))
        order = np.random.default_rng((self.recipe.seed, epoch)).permutation(len(self.samples))
        sample = self.samples[order[position]]
        random = np.random.default_rng((self.recipe.seed, epoch, position))
        image, label = augment(sample.image(), sample.label(), self.recipe.crop, random)
        normalised = (image.astype(np.float32) - MEAN) / STD  # (H, W, 3)
        return (torch.from_numpy(normalised.astype(np.float32).transpose(2, 0, 1)),
                torch.from_numpy(label.astype(np.int64)))


class Run:
    """
    A training run in a folder, which can stop at any step and go on there.

    The folder holds `last.pt` (all that a resumed run needs), `best.safetensors` (the best on val)
    and `log.jsonl`.

    :param data: whose train split is learnt and val split scored.
    :param output: the run's folder; a run that began there goes on.
    :raises ValueError: for wrong data, a damaged state, or a run begun with another recipe.
    """

    def __init__(self, recipe: Recipe, data: DataSet, output: Path) -> None:
        self.recipe = recipe
        self.output = output
        self.data = data
        self.labels = data.labels
        self.views = Views(data.samples('train'), recipe)
        self.validation = data.samples('val')
        torch.manual_seed(recipe.seed)
        self.network = SegRet(recipe.variant, len(self.labels))
        self.network.to(memory_format=torch.channels_last)
        self.optimizer = torch.optim.AdamW(parameter_groups(self.network, recipe.weight_decay),
                                           lr=recipe.learning_rate, fused=True)
        self.iteration = 0
        self.seconds = 0.0
        self.best_miou = -1.0
        output.mkdir(parents=True, exist_ok=True)
        if self.state_path.is_file():
            self._resume()

    @property
    def state_path(self) -> Path:
        """Give where the state is kept."""
        return self.output / 'last.pt'

    def train(self, validate_every: int, stopped: Callable[[], bool] = lambda: False) -> float:
        """
        Take the steps that are left.

        :param validate_every: steps between validations, each followed by saving.
        :param stopped: asked after each step; true saves the state and ends the run early.
        :return: the best mIoU on the val split so far, 0..1; below 0 before the first validation.
        """
        started = time.monotonic() - self.seconds
        losses = []
        progress = tqdm(self._batches(), total=self.recipe.iterations, initial=self.iteration,
                        unit='step', mininterval=2)
        for images, targets in progress:
            losses.append(train_step(self.network, self.optimizer, images, targets, self.recipe,
                                     self.iteration))
            self.iteration += 1
            self.seconds = time.monotonic() - started
            if self.iteration == self.recipe.iterations or self.iteration % validate_every == 0:
                progress.set_description('validating')
                record = self._validate(float(np.mean(losses)))
                losses.clear()
                progress.set_description(f'mIoU {record["val_miou"]:.1%}, '
                                         f'loss {record["loss"]:.3f}')
            elif stopped():
                self._save()
            if stopped():
                break
        return self.best_miou

    def _batches(self) -> DataLoader:
        numbers = range(self.iteration * self.recipe.batch_size, len(self.views))
        return DataLoader(self.views, self.recipe.batch_size, sampler=numbers, num_workers=1,
                          multiprocessing_context='fork', worker_init_fn=_leave_stopping_to_parent)

    def _validate(self, loss: float) -> dict:
        """Score the network, keep it if it is the best, and save; give the log's record."""
        self.network.eval()
        confusion = score(self.validation, lambda image: predict(self.network, image),
                          len(self.labels))
        record = {'iteration': self.iteration, 'loss': loss, 'val_miou': confusion.mean_iou(),
                  'seconds': round(self.seconds)}
        if record['val_miou'] > self.best_miou:
            self.best_miou = record['val_miou']
            iou = dict(zip(self.labels.names, confusion.iou().round(4).tolist()))
            save_checkpoint(self.network, self.output / 'best.safetensors',
                            list(self.labels.names), [list(c) for c in self.labels.colors],
                            {**self._origin(), **record, 'val_iou': iou})
        self._save()
        with open(self.output / 'log.jsonl', 'a') as log:
            log.write(json.dumps(record) + '\n')
        return record

    def _origin(self) -> dict:
        return {'data': f'{self.data.name} train, {len(self.views.samples)} frames',
                'val_data': f'{self.data.name} val, {len(self.validation)} frames, single scale',
                'recipe': asdict(self.recipe)}

    def _save(self) -> None:
        with atomic_path(self.state_path) as partial:
            torch.save({'iteration': self.iteration, 'seconds': self.seconds,
                        'best_miou': self.best_miou, 'recipe': asdict(self.recipe),
                        'network': self.network.state_dict(),
                        'optimizer': self.optimizer.state_dict()}, partial)

    def _resume(self) -> None:
        try:
            state = torch.load(self.state_path, weights_only=True)
        except Exception as error:  # torch.load raises a dozen types for damaged files
            raise ValueError(f'{self.state_path}: damaged; delete it to start anew') from error
        changed = [f'{key} {state["recipe"][key]}, not {value}'
                   for key, value in asdict(self.recipe).items() if state['recipe'][key] != value]
        if changed:
            raise ValueError(f'{self.state_path} was made with {"; ".join(changed)}: give the '
                             'same to go on, or another --output to start anew')
        self.network.load_state_dict(state['network'])
        self.optimizer.load_state_dict(state['optimizer'])
        self.iteration, self.seconds = state['iteration'], state['seconds']
        self.best_miou = state['best_miou']


def _leave_stopping_to_parent(worker: int) -> None:
    for number in STOP_SIGNALS:
        signal.signal(number, signal.SIG_IGN)


def parameter_groups(network: nn.Module, weight_decay: float) -> list[dict]:
    """Give the optimiser's groups: no decay on norms, biases and other vectors."""
    parameters = list(network.parameters())
    return [{'params': [p for p in parameters if p.ndim > 1], 'weight_decay': weight_decay},
            {'params': [p for p in parameters if p.ndim <= 1], 'weight_decay': 0.0}]


def train_step(network: SegRet, optimizer: torch.optim.Optimizer, images: Tensor, targets: Tensor,
               recipe: Recipe, iteration: int) -> float:
    """
    Take one optimiser step.

    :param images: (B, 3, H, W) float32.
    :param targets: (B, H, W) int64, 255 where there is no class.
    :return: the cross-entropy.
    :raises FloatingPointError: when the loss is not finite.
    """
    network.train()
    torch.manual_seed(recipe.seed + iteration)  # dropout of a resumed run is that of a whole one
    for group in optimizer.param_groups:
        group['lr'] = recipe.learning_rate_at(iteration)
    logits = network(images.to(memory_format=torch.channels_last))
    # Class by class in memory, as the cross-entropy wants it: cheaper here than at full size.
    logits = functional.interpolate(logits.contiguous(), targets.shape[1:], mode='bilinear',
                                    align_corners=False)
    counted = (targets != UNKNOWN).sum().clamp(min=1)  # a batch without labels teaches nothing
    loss = functional.cross_entropy(logits, targets, ignore_index=UNKNOWN,
                                    reduction='sum') / counted
    if not torch.isfinite(loss):
        raise FloatingPointError(f'the loss is {loss.item()} at step {iteration}: lower '
                                 f'--learning-rate ({recipe.learning_rate})')
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.item()


def main() -> int:
    """Run the command line; give its exit code."""
    parser = argparse.ArgumentParser(
        prog='segret_train', formatter_class=argparse.ArgumentDefaultsHelpFormatter,
        description='Train SegRet on CamVid, on the CPU. Ctrl-C stops after the current step and '
                    'saves; started again with the same arguments, it goes on there. For a quick '
                    'try: --iterations 20 --batch-size 2.')
    parser.add_argument('--data', type=Path, required=True, default=argparse.SUPPRESS,
                        help='folder of CamVid')
    parser.add_argument('--output', type=Path, required=True, default=argparse.SUPPRESS,
                        help='folder of the run')
    parser.add_argument('--variant', choices=VARIANTS, default='nano', help='network size')
    parser.add_argument('--iterations', type=int, default=2800, help='optimiser steps')
    parser.add_argument('--batch-size', type=int, default=8, help='views a step')
    parser.add_argument('--crop', type=int, nargs=2, default=(256, 320),
                        metavar=('HEIGHT', 'WIDTH'), help='size of a view')
    parser.add_argument('--learning-rate', type=float, default=1e-3, help='at its peak')
    parser.add_argument('--weight-decay', type=float, default=0.01, help='of AdamW')
    parser.add_argument('--warmup', type=int, default=100, help='steps of growing learning rate')
    parser.add_argument('--seed', type=int, default=0, help='of weights, views and dropout')
    parser.add_argument('--validate-every', type=int, default=200,
                        help='steps between validations, each followed by saving')
    arguments = vars(parser.parse_args())
    data, output = arguments.pop('data'), arguments.pop('output')
    validate_every = arguments.pop('validate_every')
    stopped = []
    for number in STOP_SIGNALS:
        signal.signal(number, lambda *_: stopped.append(True))
    try:
        recipe = Recipe(**{**arguments, 'crop': tuple(arguments['crop'])})
        run = Run(recipe, open_data_set('camvid', data), output)
        if run.iteration:
            print(f'going on after step {run.iteration} of {recipe.iterations}')
        best = run.train(validate_every, lambda: bool(stopped))
    except (ValueError, OSError, FloatingPointError) as error:
        print(f'segret_train: {error}', file=sys.stderr)
        return 1
    if run.iteration < recipe.iterations:
        print(f'\nstopped and saved after step {run.iteration} of {recipe.iterations}: the same '
              'command goes on there')
        return EXIT_STOPPED
    print(f'best val mIoU {best:.4f}: {output / "best.safetensors"}')
    return 0


if __name__ == '__main__':
    sys.exit(main())
