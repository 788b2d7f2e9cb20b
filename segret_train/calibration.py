# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Calibrate a model file: `python -m segret_train.calibration MODEL.onnx --data CAMVID`."""

from collections.abc import Iterable
from dataclasses import replace
import math
from pathlib import Path
import sys

import cv2
import numpy as np
import onnx
from segret_ros.command_line import FAILED, Parser
from segret_ros.inference import Model, ModelInfo
from segret_ros.inference.engines.engine import open_engine
from segret_ros.inference.model_info import TEMPERATURES
from segret_ros.labels.label_set import LabelSet
from segret_ros.labels.metrics import Calibration
from segret_train.datasets import (
    DataSet,
    HOLD_OUT_HELP,
    IGNORE,
    NAMES_HELP,
    open_data_set,
    Sample,
)
from segret_train.onnx_model import save_model
import torch
from torch import Tensor
from torch.nn import functional
from tqdm import tqdm

PIXELS = 8192  # of each frame: 0.8 million of 101 frames, whose logits take 36 MB
BISECTIONS = 30  # leave 1e-8 of the temperature's range


class CalibrationError(ValueError):
    """A calibration that can't be made; the message names the rule and the way out."""


def calibrate(model: Path, data: DataSet) -> ModelInfo:
    """
    Fit a model file's temperature and write it into the file, whose graph is unchanged.

    It is fitted and scored on the same pixels: up to `PIXELS` random labelled ones of each frame,
    with the logits of the float32 engine, resized to the label's size.

    :param data: the network was not trained on its val split.
    :return: the file's new metadata.
    :raises CalibrationError: for a model of other classes, or frames that no temperature fits.
    :raises DataError: for data that can't be read.
    """
    loaded = Model.load(model)
    info = loaded.info
    refuse_other_classes(model, info.labels, data)
    samples = data.samples('val')
    logits, label = labelled_logits(loaded, tqdm(samples, 'calibrate', unit='frame'))
    temperature = fit_temperature(logits, label)
    errors = calibration_error(logits, label), calibration_error(logits / temperature, label)
    measured_on = f'{data.title("val")}, {len(samples)} frames, {len(label)} pixels'
    info = replace(info, temperature=temperature, calibration_error=errors,
                   calibration_data=measured_on)
    save_model(onnx.load(model), info, model)
    return info


def refuse_other_classes(source: Path, labels: LabelSet, data: DataSet) -> None:
    """
    Check that data has the classes of a model.

    :param source: model file or checkpoint whose classes are `labels`, for the message.
    :raises CalibrationError: if names differ.
    """
    if labels.names != data.labels.names:
        ours, theirs = (', '.join(found.names[:3]) for found in (labels, data.labels))
        raise CalibrationError(f"{source}: its classes ({ours}, ...) are not {data.name}'s "
                               f"({theirs}, ...), so its confidence can't be calibrated on it: "
                               'name the right data with --dataset, or leave --data out')


def labelled_logits(model: Model, samples: Iterable[Sample]) -> tuple[Tensor, Tensor]:
    """
    Compute the logits of random labelled pixels, always the same ones.

    :return: (pixels, classes) float32; (pixels,) int64 classes.
    """
    engine = open_engine(model, 'cpu')
    random = np.random.default_rng(0)
    height, width = model.info.input_size
    parts = []
    for sample in samples:
        resized = cv2.resize(sample.image(), (width, height), interpolation=cv2.INTER_LINEAR)
        label = sample.label()
        large = functional.interpolate(torch.from_numpy(engine.run(resized))[None], label.shape,
                                       mode='bilinear', align_corners=False)[0].flatten(1)
        labelled = np.flatnonzero(label != IGNORE)
        pixel = random.choice(labelled, min(PIXELS, len(labelled)), replace=False)
        parts.append((large[:, pixel].T, torch.from_numpy(label.ravel()[pixel]).long()))
    logits, classes = (torch.cat(part) for part in zip(*parts))
    return logits, classes


def fit_temperature(logits: Tensor, label: Tensor) -> float:
    """
    Find the temperature that minimises the negative log-likelihood (Guo et al., ICML 2017).

    It is convex in 1 / temperature, so bisection finds where its slope changes sign.

    :param logits: (pixels, classes) float32.
    :param label: (pixels,) int64 classes.
    :raises CalibrationError: if the minimum is not within `TEMPERATURES`.
    """
    true = logits.gather(1, label[:, None])[:, 0].mean(dtype=torch.float64)

    def slope(temperature: float) -> float:
        expected = ((logits / temperature).softmax(1) * logits).sum(1)
        return float(expected.mean(dtype=torch.float64) - true)

    lowest, highest = TEMPERATURES
    if not slope(lowest) > 0 > slope(highest):  # also if NaN, or without pixels
        raise CalibrationError(f'no temperature of {lowest:g}..{highest:g} makes the confidence '
                               f'fit {len(label)} labelled pixels: check that images and labels '
                               "belong together and have the model's classes")
    for _ in range(BISECTIONS):
        middle = math.sqrt(lowest * highest)
        lowest, highest = (lowest, middle) if slope(middle) < 0 else (middle, highest)
    return math.sqrt(lowest * highest)


def calibration_error(logits: Tensor, label: Tensor) -> float:
    """
    Compute the expected calibration error of the largest softmax, 0..1.

    :param logits: (pixels, classes) float32.
    :param label: (pixels,) int64 classes.
    """
    confidence, predicted = logits.softmax(1).max(1)
    calibration = Calibration()
    calibration.add(confidence.numpy(), (predicted == label).numpy())
    return calibration.error()


def report(info: ModelInfo) -> str:
    """Describe a model's calibration."""
    if info.calibration_error is None:
        return ('The confidence is not calibrated: --data CAMVID fits it to the val split of '
                'CamVid, --dataset to another')
    before, after = info.calibration_error
    return (f'temperature {info.temperature:.3f}: expected calibration error {before:.2%} before, '
            f'{after:.2%} after, on {info.calibration_data}')


def main() -> int:
    """Run the command line and return its exit code."""
    parser = Parser(
        prog='python -m segret_train.calibration',
        description="Fit a model file's confidence to a data set's val split and write the "
                    'temperature into the file; labels do not change. segret_export --data does '
                    'the same.')
    parser.add_argument('model', type=Path, help='.onnx, which is rewritten')
    parser.add_argument('--data', type=Path, required=True, help='folder of the data set')
    parser.add_argument('--dataset', default='camvid', metavar='NAME',
                        help=f'{NAMES_HELP} (default: camvid)')
    parser.add_argument('--hold-out', metavar='PATTERN', help=HOLD_OUT_HELP)
    arguments = parser.parse_args()
    try:
        info = calibrate(arguments.model, open_data_set(arguments.dataset, arguments.data,
                                                        arguments.hold_out))
    except (ValueError, OSError) as error:
        print(f'calibration: {error}', file=sys.stderr)
        return FAILED
    print(report(info))
    return 0


if __name__ == '__main__':
    sys.exit(main())
