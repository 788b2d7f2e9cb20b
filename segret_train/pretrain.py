# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Pretrain a backbone: `segret_train pretrain --images FOLDER --output runs/backbone`."""

from collections.abc import Sequence
from pathlib import Path
import signal
import sys

from jsonargparse import ArgumentError
from segret_ros.command_line import FAILED, INTERRUPTED
from segret_ros.files.output_folder import OutputFolder
from segret_ros.network import SegRet
from segret_train.options import OptionParser
from segret_train.pretraining.images import find_classes, find_images, ImageViews
from segret_train.pretraining.run import BACKBONE, LAYOUT, Pretraining, PretrainingRun
from segret_train.pretraining.tasks import Classification, Distillation
from segret_train.recipe import one_line, plain
from segret_train.teacher import EfficientNetFeatures
from segret_train.training.views import STOP_SIGNALS
import torch
from torch import nn

DESCRIPTION = ('Give a backbone that has seen more images than those with labels: '
               'segret_train --backbone begins with it. Ctrl-C saves; started again with the same '
               'arguments, it goes on there.')


def make_parser() -> OptionParser:
    """Give the command's options."""
    parser = OptionParser('segret_train pretrain', DESCRIPTION)
    parser.add_argument('--images', type=Path, nargs='+', required=True, metavar='FOLDER',
                        help='of images; for classification, of a folder of images a class')
    parser.add_argument('--output', type=Path, required=True, help='folder of the run')
    parser.add_class_arguments(Pretraining)
    return parser


def make_task(settings: Pretraining, network: SegRet,
              folders: list[Path]) -> tuple[nn.Module, ImageViews]:
    """
    Give what the network's backbone learns, and the views that it learns from.

    :raises ValueError: for folders without such images, or where the teacher's package is missing.
    """
    if settings.task == 'distillation':
        images, classes = find_images(folders), None
        teacher = EfficientNetFeatures(pretrained=True).eval()
        teacher.fold()
        task = Distillation(network, teacher)
    else:
        images, classes, names = find_classes(folders)
        task = Classification(network, len(names))
    return task, ImageViews(images, classes, settings.recipe())


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; give its exit code."""
    stopped = []
    try:
        values = vars(make_parser().parse_args(sys.argv[1:] if arguments is None else arguments))
        folders, output = values.pop('images'), values.pop('output')
        settings = Pretraining(**{name: plain(value) for name, value in values.items()})
        torch.manual_seed(settings.seed)
        network = SegRet(settings.variant)
        run = PretrainingRun(settings, network, *make_task(settings, network, folders), output)
        OutputFolder(LAYOUT, output, folders)
        for number in STOP_SIGNALS:
            signal.signal(number, lambda *_: stopped.append(True))
        run.train(lambda: bool(stopped))
    except (ValueError, OSError, ArgumentError) as error:
        print(f'segret_train pretrain: {one_line(error)}', file=sys.stderr)
        return FAILED
    if run.step < settings.iterations:
        print(f'\nstopped and saved after step {run.step} of {settings.iterations}: the same '
              'command goes on there')
        return INTERRUPTED
    print(f'backbone: {output / BACKBONE}')
    return 0


if __name__ == '__main__':
    sys.exit(main())
