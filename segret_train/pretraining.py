# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Pretrain a backbone: `segret_train pretrain --images FOLDER --output runs/backbone`."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
import signal
import sys
from typing import Any, Literal

from jsonargparse.typing import NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt
import numpy as np
from segret_ros.command_line import FAILED, INTERRUPTED
from segret_ros.files.output_folder import Layout, OutputFolder
from segret_ros.images.error import ImageError
from segret_ros.images.image_file import ENDINGS, image_files, read_image, shown
from segret_ros.network import save_backbone, SegRet, VARIANTS
from segret_train.augmentation import augment
from segret_train.datasets import DataError, IGNORE
from segret_train.options import OptionParser
from segret_train.protocol import to_device
from segret_train.recipe import Recipe, Values
from segret_train.teacher import EfficientNetFeatures
from segret_train.training.crops import Crops, default_workers, load_batches, STOP_SIGNALS
from segret_train.training.optimizer import learning_rate_at, make_optimizer, set_learning_rate
from segret_train.training.process_group import ProcessGroup
from segret_train.training.run_files import load_state, save_state, STATE
from segret_train.training.step import Batch, NonFiniteLoss, normalised, TrainingStep
import torch
from torch import nn, Tensor
from torch.nn import functional
from tqdm import tqdm

BACKBONE = 'backbone.safetensors'
SAVE_EVERY = 200  # steps
LAYOUT = Layout('segret_train pretrain', (BACKBONE, STATE),
                signatures=(frozenset({BACKBONE, STATE}),), grows=True)
LABEL_SMOOTHING = 0.1
DESCRIPTION = ('Train a backbone on images without labels, for segret_train --backbone to start '
               'with. Ctrl-C saves; the same command resumes.')


@dataclass(frozen=True)
class Pretraining(Values):
    """
    All values of a pretraining run.

    :param variant: network size.
    :param task: distillation learns ImageNet's features of EfficientNet-Lite2 on any images;
        classification learns in which folder an image is.
    :param iterations: optimizer steps.
    :param batch_size: crops in a step.
    :param learning_rate: its peak; it falls to 0 at the last step.
    :param muon_rate: see segret_train --help.
    :param warmup: steps over which the learning rate rises linearly.
    :param weight_decay: of the optimizer.
    :param crop: height and width of a crop.
    :param scale_range: smallest and largest random scale of a crop.
    :param seed: of weights, crops and stochastic depth.
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

    def recipe(self) -> Recipe:
        """Return the recipe for crops and optimizer."""
        values = asdict(self)
        del values['task']
        return Recipe(dataset='', **values)


class Distillation(nn.Module):
    """
    Learn a teacher's features, cell by cell at strides 4 to 32.

    :param network: whose backbone learns.
    :param teacher: computes four features of (B, 3, H, W), of the widths in its `channels`.
    """

    def __init__(self, network: SegRet, teacher: nn.Module) -> None:
        super().__init__()
        self.backbone = network.backbone
        self.teacher = [teacher.eval().requires_grad_(False)]  # a list, to stay out of the state
        channels: Any = teacher.channels
        self.projections = nn.ModuleList(nn.Conv2d(own, taught, 1) for own, taught in zip(
            VARIANTS[network.variant].channels, channels))

    def forward(self, images: Tensor, classes: Tensor) -> Tensor:
        """
        Compute the loss: 1 minus the cosine similarity to the teacher, averaged over cells.

        Its features are standardised by channel, or a few channels would dominate the cosine.

        :param images: (B, 3, H, W), normalised.
        :param classes: ignored.
        """
        with torch.no_grad():
            taught = self.teacher[0](images)
        losses = []
        for own, target, project in zip(self.backbone(images), taught, self.projections):
            target = functional.batch_norm(target, None, None, training=True)
            losses.append(1 - functional.cosine_similarity(project(own), target).mean())
        return torch.stack(losses).mean()


class Classification(nn.Module):
    """Learn the classes of images from the mean of the deepest stage's cells."""

    def __init__(self, network: SegRet, classes: int) -> None:
        super().__init__()
        self.backbone = network.backbone
        width = VARIANTS[network.variant].channels[-1]
        self.norm = nn.LayerNorm(width)
        self.classify = nn.Linear(width, classes)

    def forward(self, images: Tensor, classes: Tensor) -> Tensor:
        """
        Compute the cross-entropy.

        :param images: (B, 3, H, W), normalised.
        :param classes: (B,) int64.
        """
        mean = self.backbone(images)[-1].mean((2, 3))  # (B, C)
        return functional.cross_entropy(self.classify(self.norm(mean)), classes,
                                        label_smoothing=LABEL_SMOOTHING)


def find_images(folders: Sequence[Path]) -> list[Path]:
    """
    Return the images in folders and their subfolders, in order.

    :raises DataError: for a folder without any.
    """
    found = []
    for folder in folders:
        images = image_files(folder, recursive=True)
        if not images:
            raise DataError(f'{shown(folder)}: contains no image ({", ".join(ENDINGS)}): give a '
                            'folder that does')
        found += images
    return found


def find_classes(folders: Sequence[Path]) -> tuple[list[tuple[Path, int]], list[str]]:
    """
    Find the images in folders of one folder for each class, CLASS/a.jpg or CLASS/images/a.jpg.

    :return: the images, each with the number of its class; the class names in order.
    :raises DataError: for a folder without images, images without a class, or a single class.
    """
    named = []
    for folder in folders:
        for path in find_images([folder]):
            inner = path.relative_to(folder).parts
            if len(inner) == 1:
                raise DataError(f'{shown(path)}: is not in the folder of a class: lay images out '
                                'as CLASS/IMAGE, or give --task distillation, which needs no '
                                'classes')
            named.append((path, inner[0]))
    names = sorted({name for _, name in named})
    if len(names) < 2:
        raise DataError(f'{shown(folders[0])}: contains only the class {names[0]}: give at least '
                        'two, as CLASS/IMAGE')
    ids = {name: class_id for class_id, name in enumerate(names)}
    return [(path, ids[name]) for path, name in named], names


class ImageCrops(Crops):
    """Random crops of images without labels, each with the number of its class."""

    def crop(self, sample: Any, random: np.random.Generator) -> tuple[Tensor, Tensor]:
        """Return (H, W, 3) uint8 RGB and the class of its image."""
        path, class_id = sample
        try:
            image = read_image(path)
        except ImageError as error:
            raise DataError(str(error)) from error
        crop, _ = augment(image, np.full(image.shape[:2], IGNORE, np.uint8), self.recipe, random)
        return torch.from_numpy(crop), torch.tensor(class_id)


class PretrainingRun:
    """
    A pretraining run in a folder, which can stop at any step and resume there.

    The folder holds `last.pt` (all that a resumed run needs) and `backbone.safetensors`.

    :param task: of the network's backbone.
    :param group: of this process alone.
    :raises ValueError: for a corrupt state, or a run begun with other values.
    """

    def __init__(self, settings: Pretraining, network: SegRet, task: nn.Module, crops: ImageCrops,
                 output: Path, group: ProcessGroup) -> None:
        self.settings, self.network, self.crops, self.output = settings, network, crops, output
        self.group = group
        self.task = to_device(task, group.device).train()
        self.optimizer = make_optimizer(task, settings.recipe())
        self.step = 0
        self.losses: list[float] = []
        if saved := load_state(output, settings, 1):
            self.task.load_state_dict(saved['task'])
            self.optimizer.load_state_dict(saved['optimizer'])
            self.step = saved['step']

    def train(self, stopped: Callable[[], bool] = lambda: False) -> None:
        """
        Take the remaining steps.

        :param stopped: asked after each step; true saves and ends the run early.
        :raises NonFiniteLoss: naming the step.
        """
        recipe = self.settings.recipe()
        take_step = TrainingStep(self._gradients, self.optimizer.step, self.group)
        batches = load_batches(self.crops, self.group, self.step, default_workers(self.group))
        bar = tqdm(batches, total=recipe.iterations, initial=self.step, unit='step', mininterval=2)
        for batch in bar:
            torch.manual_seed(recipe.seed + self.step)  # so that a resumed run equals a whole one
            set_learning_rate(self.optimizer, learning_rate_at(recipe, self.step))
            self.losses.append(self._step(take_step, batch))
            self.step += 1
            bar.set_postfix(loss=f'{np.mean(self.losses[-100:]):.3f}', refresh=False)
            if stopped() or self.step == recipe.iterations or not self.step % SAVE_EVERY:
                self._save()
            if stopped():
                break

    def _step(self, take_step: TrainingStep, batch: Batch) -> float:
        """Take a step and return its loss."""
        try:
            return take_step([batch])
        except NonFiniteLoss as error:
            raise NonFiniteLoss(f'{error} at step {self.step}: lower --learning-rate '
                                f'({self.settings.learning_rate:g})') from error

    def _gradients(self, batches: list[Batch]) -> Tensor:
        """Compute the gradients of a batch, and return its loss."""
        (images, classes), = batches
        loss = self.task(normalised(images), classes)
        self.task.zero_grad()
        loss.backward()
        return loss.detach()

    def _save(self) -> None:
        save_backbone(self.network, self.output / BACKBONE,
                      {'pretraining': self.settings.values(), 'images': len(self.crops.samples),
                       'step': self.step})
        save_state(self.output, self.settings, 1,
                   {'task': self.task.state_dict(), 'optimizer': self.optimizer.state_dict(),
                    'step': self.step})


def make_parser() -> OptionParser:
    """Make the parser of the command line."""
    parser = OptionParser('segret_train pretrain', DESCRIPTION)
    parser.add_argument('--images', type=Path, nargs='+', required=True, metavar='FOLDER',
                        help='of images; for classification, of one folder for each class')
    parser.add_argument('--output', type=Path, required=True, help='folder of the run')
    parser.add_argument('--device', default='auto', choices=('auto', 'cpu', 'cuda'),
                        help='auto takes a GPU if there is one')
    parser.add_class_arguments(Pretraining)
    return parser


def make_task(settings: Pretraining, network: SegRet, folders: list[Path],
              device: torch.device) -> tuple[nn.Module, ImageCrops]:
    """
    Make the task of a network's backbone, and the crops that it learns from.

    :raises ValueError: for folders without such images, or if the teacher's package is missing.
    """
    if settings.task == 'distillation':
        images = [(path, 0) for path in find_images(folders)]
        teacher = EfficientNetFeatures(pretrained=True).eval()
        teacher.fold()
        return Distillation(network, teacher.to(device)), ImageCrops(images, settings.recipe())
    images, names = find_classes(folders)
    return Classification(network, len(names)), ImageCrops(images, settings.recipe())


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    stopped = []
    try:
        values = make_parser().parse(sys.argv[1:] if arguments is None else arguments)
        folders, output = values.pop('images'), values.pop('output')
        group = ProcessGroup(values.pop('device'))
        settings = Pretraining(**values)
        torch.manual_seed(settings.seed)
        network = SegRet(settings.variant)
        task, crops = make_task(settings, network, folders, group.device)
        run = PretrainingRun(settings, network, task, crops, output, group)
        OutputFolder(LAYOUT, output, folders)
        for number in STOP_SIGNALS:
            signal.signal(number, lambda *_: stopped.append(True))
        run.train(lambda: bool(stopped))
    except (ValueError, OSError, FloatingPointError) as error:
        print(f'segret_train pretrain: {error}', file=sys.stderr)
        return FAILED
    if run.step < settings.iterations:
        print(f'\nstopped and saved after step {run.step} of {settings.iterations}: the same '
              'command resumes')
        return INTERRUPTED
    print(f'backbone: {output / BACKBONE}')
    return 0
