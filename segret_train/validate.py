# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Score checkpoints and model files: `segret_validate MODEL [MODEL ...] --data FOLDER`."""

import argparse
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
import json
from pathlib import Path
from string import ascii_uppercase
import sys
from typing import Any

import numpy as np
from segret_ros.command_line import FAILED, Parser, REFUSED
from segret_ros.files.atomic import atomic_path
from segret_ros.files.output_file import claim_file, SCORES_MARK
from segret_ros.inference import DEVICES, Segmenter
from segret_ros.labels.metrics import Scores
from segret_train.datasets import (
    check,
    DataSet,
    HOLD_OUT_HELP,
    NAMES_HELP,
    open_data_set,
    Sample,
)
from segret_train.protocol import Protocol, segment, to_device
from segret_train.score_table import table_of_one, table_of_some
from segret_train.teacher import load_network
import torch
from tqdm import tqdm

# From (H, W, 3) uint8 RGB to (H, W) uint8 labels and their confidence, as `Calibration` takes it.
Segment = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]
EPILOG = """examples:
  segret_validate runs/nano/best.safetensors --data camvid
  segret_validate runs/nano/best.safetensors nano.onnx --data camvid --json scores.json
  segret_validate segret_tiny_ade20k.pth --dataset ade20k --data ADEChallengeData2016 \\
      --short-side 512 --multi-scale"""


@dataclass
class ScoredModel:
    """
    A checkpoint or a model file, and its scores.

    :param names: of its classes; empty if a checkpoint has none.
    :param engine: name and device.
    :param shown: how images are presented to it.
    :param equal: number of pixels that it labels like the first of the models.
    """

    path: Path
    names: Sequence[str]
    engine: str
    shown: str
    segment: Segment
    scores: Scores
    equal: int = 0

    def __str__(self) -> str:
        return f'{self.path}  ({self.shown}; {self.engine})'


def open_model(path: Path, device: str, protocol: Protocol,
               min_confidence: float = 0.0) -> ScoredModel:
    """
    Open a model file on an engine, or a checkpoint in PyTorch.

    :param device: of the engine; a checkpoint runs on it if it is a CUDA device, else on the CPU.
    :param protocol: of a checkpoint; a model file has one input size.
    :param min_confidence: of a model file, 0..1; pixels below it become unknown.
    :raises ValueError: for a model that can't be used, or a checkpoint with `min_confidence`.
    """
    if path.suffix == '.onnx':
        return _open_model_file(path, device, min_confidence)
    if min_confidence != 0:
        raise ValueError(f'{path}: --min-confidence needs a model file, which has a '
                         'temperature: make one with segret_export')
    network = to_device(load_network(path), _torch_device(device))
    return ScoredModel(path, network.class_names,
                       f'PyTorch {torch.__version__.split("+")[0]} on {_torch_device(device)}',
                       str(protocol),
                       lambda image_rgb: segment(network, image_rgb, protocol),
                       Scores(network.num_classes))


def _open_model_file(path: Path, device: str, min_confidence: float) -> ScoredModel:
    segmenter = Segmenter(path, device)
    names, size = segmenter.info.labels.names, segmenter.info.input_size

    def run(image_rgb: np.ndarray) -> tuple[np.ndarray, Any]:  # confidence is asked for
        result = segmenter(image_rgb, min_confidence)
        return result.label, result.confidence

    return ScoredModel(path, names, f'{segmenter.engine.name} on {segmenter.engine.device}',
                       f'whole at {size[0]} x {size[1]}', run, Scores(len(names)))


def _torch_device(device: str) -> torch.device:
    if device == 'auto':
        return torch.device('cuda' if torch.cuda.is_available() else 'cpu')
    if not device.startswith('cuda'):
        return torch.device('cpu')
    if not torch.cuda.is_available():
        raise ValueError(f'device {device!r} needs a GPU that PyTorch {torch.__version__} can '
                         'use, and there is none: use cpu')
    return torch.device(device)


def check_classes(model: ScoredModel, data: DataSet) -> None:
    """
    Compare a model's classes with those of the data, and warn of names that differ.

    :raises ValueError: if the numbers of classes differ.
    """
    num_classes = model.scores.confusion.num_classes
    if num_classes != len(data.labels):
        raise ValueError(f'{model.path}: has {num_classes} classes, {data.name} has '
                         f'{len(data.labels)}: name the data set of its training with --dataset')
    for index, (name, wanted) in enumerate(zip(model.names, data.labels.names)):
        if name != wanted:
            print(f'segret_validate: {model.path} calls class {index} {name!r}, {data.name} '
                  f'{wanted!r}: classes are compared by number', file=sys.stderr)
            return


def score(samples: Iterable[Sample], models: Sequence[ScoredModel]) -> None:
    """Let models label the same images, and score each."""
    for sample in samples:
        image, true_label = sample.image(), sample.label()
        first = None
        for model in models:
            label, confidence = model.segment(image)
            model.scores.add(true_label, label, confidence)
            first = label if first is None else first
            model.equal += int(np.count_nonzero(label == first))


def report(models: Sequence[ScoredModel], names: Sequence[str]) -> str:
    """Return the text that the command prints about models of named classes."""
    if len(models) == 1:
        return f'{models[0]}\n\n{table_of_one(names, models[0].scores)}'
    listed = '\n'.join(f'{letter}  {model}' for letter, model in zip(ascii_uppercase, models))
    table = table_of_some(names, [model.scores for model in models],
                          [model.equal / models[0].equal for model in models])
    return f'{listed}\n\n{table}'


def parse_arguments() -> argparse.Namespace:
    """Parse the command line."""
    parser = Parser(
        prog='segret_validate', formatter_class=argparse.RawDescriptionHelpFormatter,
        description='Score checkpoints and model files on a data set, several side by side, or '
                    'check the data set.', epilog=EPILOG)
    add = parser.add_argument
    add('models', type=Path, nargs='*', metavar='MODEL', help='.safetensors, .pth or .onnx')
    add('--data', type=Path, required=True, help='folder of the data set')
    add('--dataset', default='camvid', metavar='NAME', help=f'{NAMES_HELP} (default: camvid)')
    add('--split', choices=('train', 'val'), default='val', help='default: val')
    add('--hold-out', metavar='PATTERN', help=HOLD_OUT_HELP)
    add('--check-data', action='store_true', help='read every image and label instead, and report '
        'what is wrong and how often each class occurs')
    add('--device', default='auto', help=f'{DEVICES}; a checkpoint '
        'runs on CUDA or else on the CPU (default: auto)')
    add('--json', type=Path, metavar='FILE', help='write all scores and the confusion matrices')
    add('--min-confidence', type=float, default=0.0, metavar='PROBABILITY',
        help='less confident pixels of a model file count as unknown')
    presented = parser.add_argument_group(
        'how images are presented to checkpoints', 'By default whole, at their own size. A model '
        'file has one input size and always gets the whole image.')
    add = presented.add_argument
    add('--short-side', type=int, metavar='N', help='resize it to this short side, then up to '
        'multiples of 32: 512 for ADE20K and COCO-Stuff')
    add('--crop', type=int, nargs=2, metavar=('HEIGHT', 'WIDTH'), help='window that slides')
    add('--stride', type=int, nargs=2, metavar=('HEIGHT', 'WIDTH'), help='steps of the window')
    add('--multi-scale', action='store_true', help='average 0.5, 0.75, 1, 1.25, 1.5 and 1.75 '
        'times the size, each with its mirror image')
    arguments = parser.parse_args()
    if bool(arguments.models) == arguments.check_data:
        parser.error('name a model, or --check-data')
    return arguments


def run(arguments: argparse.Namespace) -> str:
    """
    Score the models of a command line, and return the text to print.

    :raises ValueError: for models, data or options that can't be used.
    """
    if len(arguments.models) > len(ascii_uppercase):
        raise ValueError(f'{len(arguments.models)} models: at most {len(ascii_uppercase)} are '
                         'compared at once')
    crop, stride = (sides and tuple(sides) for sides in (arguments.crop, arguments.stride))
    protocol = Protocol(arguments.short_side, crop, stride, arguments.multi_scale)
    if protocol != Protocol() and all(path.suffix == '.onnx' for path in arguments.models):
        raise ValueError(f'{arguments.models[0]}: a model file has one input size, so --short-side'
                         ', --crop, --stride and --multi-scale need a checkpoint')
    claim_file(arguments.json, arguments.models, SCORES_MARK)
    data = open_data_set(arguments.dataset, arguments.data, arguments.hold_out)
    samples = data.samples(arguments.split)
    models = [open_model(path, arguments.device, protocol, arguments.min_confidence)
              for path in arguments.models]
    for model in models:
        check_classes(model, data)
    score(tqdm(samples, unit='image'), models)
    names = data.labels.names
    if arguments.json:
        content = {'data': data.name, 'split': arguments.split, 'images': len(samples), 'models': [
            {'model': str(model.path), 'engine': model.engine, 'shown': model.shown,
             'share_equal_to_first': model.equal / models[0].equal, **model.scores.as_json(names)}
            for model in models]}
        with atomic_path(arguments.json) as partial:
            partial.write_text(json.dumps(content, indent=1, allow_nan=False) + '\n')
    return f'{data.title(arguments.split)}, {len(samples)} images\n{report(models, names)}'


def main() -> int:
    """Run the command line and return its exit code."""
    arguments = parse_arguments()
    try:
        if arguments.check_data:
            data = open_data_set(arguments.dataset, arguments.data, arguments.hold_out)
            checks = check.check_data(data)
            print(check.report(data, checks))
            return REFUSED if any(found.errors for found in checks.values()) else 0
        print(run(arguments))
    except (ValueError, OSError) as error:
        print(f'segret_validate: {error}', file=sys.stderr)
        return FAILED
    return 0


if __name__ == '__main__':
    sys.exit(main())
