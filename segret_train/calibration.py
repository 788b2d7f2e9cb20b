# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""A model file's temperature: `python -m segret_train.calibration MODEL.onnx --data CAMVID`."""

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
from segret_ros.labels.label_set import LabelSet, UNKNOWN
from segret_ros.labels.metrics import Calibration
from segret_train.datasets import DataSet, NAMES_HELP, open_data_set, Sample
from segret_train.onnx_model import save_model
import torch
from torch import Tensor
from torch.nn import functional
from tqdm import tqdm

PIXELS = 8192  # of each frame: 101 frames give 0.8 million, whose logits take 36 MB
BISECTIONS = 30  # leave 1e-8 of the temperature's range


class CalibrationError(ValueError):
    """A calibration that can't be made; the message names the rule and the way out."""


def calibrate(model: Path, data: DataSet) -> ModelInfo:
    """
    Fit a model file's temperature and write it into the file, whose graph stays as it is.

    Fitted and measured on the same pixels: up to `PIXELS` labelled ones of each frame, by chance,
    with the logits that the file's engine gives in float32, resized to the label's size.

    :param data: whose val split the network was not trained on.
    :return: what the file tells of itself now.
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
    info = replace(info, temperature=temperature, calibration_error=errors,
                   calibration_data=f'{data.name} val, {len(samples)} frames, {len(label)} pixels')
    save_model(onnx.load(model), info, model)
    return info


def refuse_other_classes(source: Path, labels: LabelSet, data: DataSet) -> None:
    """
    Refuse data of other classes than a model's.

    :param source: model file or checkpoint whose classes are `labels`, for the message.
    :raises CalibrationError: for names that differ.
    """
    if labels.names != data.labels.names:
        ours, theirs = (', '.join(found.names[:3]) for found in (labels, data.labels))
        raise CalibrationError(f"{source}: its classes ({ours}, ...) are not {data.name}'s "
                               f"({theirs}, ...), so its confidence can't be calibrated on it: "
                               'name the right data with --dataset, or leave --data out')


def labelled_logits(model: Model, samples: Iterable[Sample]) -> tuple[Tensor, Tensor]:
    """
    Give the logits of labelled pixels, always the same ones.

    :return: (pixels, classes) float32; (pixels,) int64 classes.
    """
    engine = open_engine(model, 'cpu')
    random = np.random.default_rng(0)
    height, width = model.info.input_size
    parts = []
    for sample in samples:
        resized = cv2.resize(sample.image(), (width, height), interpolation=cv2.INTER_LINEAR)
        label = sample.label()
        logits = functional.interpolate(torch.from_numpy(engine.run(resized))[None], label.shape,
                                        mode='bilinear', align_corners=False)[0].flatten(1)
        labelled = np.flatnonzero(label != UNKNOWN)
        pixel = random.choice(labelled, min(PIXELS, len(labelled)), replace=False)
        parts.append((logits[:, pixel].T, torch.from_numpy(label.ravel()[pixel]).long()))
    logits, label = (torch.cat(part) for part in zip(*parts))
    return logits, label


def fit_temperature(logits: Tensor, label: Tensor) -> float:
    """
    Give the temperature of the least negative log-likelihood (Guo et al., ICML 2017).

    It is convex in 1 / temperature, so bisection finds where its slope changes sign.

    :param logits: (pixels, classes) float32.
    :param label: (pixels,) int64 classes.
    :raises CalibrationError: when no temperature within `TEMPERATURES` is the best.
    """
    true = logits.gather(1, label[:, None])[:, 0].mean(dtype=torch.float64)

    def slope(temperature: float) -> float:
        expected = ((logits / temperature).softmax(1) * logits).sum(1)
        return float(expected.mean(dtype=torch.float64) - true)

    lowest, highest = TEMPERATURES
    if not slope(lowest) > 0 > slope(highest):  # true for NaN and for no pixels
        raise CalibrationError(f'no temperature of {lowest:g}..{highest:g} makes the confidence '
                               f'fit {len(label)} labelled pixels: check that images and labels '
                               "belong together and are of the model's classes")
    for _ in range(BISECTIONS):
        middle = math.sqrt(lowest * highest)
        lowest, highest = (lowest, middle) if slope(middle) < 0 else (middle, highest)
    return math.sqrt(lowest * highest)


def calibration_error(logits: Tensor, label: Tensor) -> float:
    """
    Give the expected calibration error of the largest softmax, 0..1.

    :param logits: (pixels, classes) float32.
    :param label: (pixels,) int64 classes.
    """
    confidence, found = logits.softmax(1).max(1)
    calibration = Calibration()
    calibration.add(confidence.numpy(), (found == label).numpy())
    return calibration.error()


def report(info: ModelInfo) -> str:
    """Give what a command says of a model's calibration."""
    if info.calibration_error is None:
        return ('The confidence is not calibrated: --data CAMVID fits it to the val split of '
                'CamVid, --dataset to another')
    before, after = info.calibration_error
    return (f'temperature {info.temperature:.3f}: expected calibration error {before:.2%} before, '
            f'{after:.2%} after, on {info.calibration_data}')


def main() -> int:
    """Run the command line; give its exit code."""
    parser = Parser(
        prog='python -m segret_train.calibration',
        description="Fit a model file's confidence to a data set's val split and write the "
                    'temperature into the file; labels stay as they are. segret_export --data '
                    'does the same.')
    parser.add_argument('model', type=Path, help='.onnx, which is written again')
    parser.add_argument('--data', type=Path, required=True, help='folder of the data set')
    parser.add_argument('--dataset', default='camvid', metavar='NAME',
                        help=f'{NAMES_HELP} (default: camvid)')
    arguments = parser.parse_args()
    try:
        info = calibrate(arguments.model, open_data_set(arguments.dataset, arguments.data))
    except (ValueError, OSError) as error:
        print(f'calibration: {error}', file=sys.stderr)
        return FAILED
    print(report(info))
    return 0


if __name__ == '__main__':
    sys.exit(main())
