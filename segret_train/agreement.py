# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""How closely a model file reproduces the labels of its checkpoint."""

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from segret_ros.errors import reason
from segret_ros.inference import Model, ModelInfo, Segmenter
from segret_ros.inference.engines.engine import open_engine
from segret_ros.inference.parity_frames import compressed, decompressed, encode
from segret_ros.inference.serving.parity import compare, LEAST_SHARE_EQUAL
from segret_ros.network import SegRet
from segret_train.augmentation import Size
from segret_train.protocol import label_of, logits_of, predict

PARITY_FRAMES = 4  # of those compared, which are stored in the file


class ExportError(ValueError):
    """An export whose labels would differ from the checkpoint's, or that lacks a value."""


class Agreement(NamedTuple):
    """
    How closely a model file reproduces its checkpoint.

    :param share: of pixels with the labels of PyTorch in float32.
    :param weights: precision in which the large ones are stored.
    """

    share: float
    weights: str


def expected_labels(network: SegRet, checkpoint: Path, input_size: Size,
                    frames: list[np.ndarray]) -> list[np.ndarray]:
    """
    Label the frames in PyTorch, as the reference for the model file.

    :raises ExportError: for NaN or infinite logits, which every engine would label with class 0,
        and for an input size that needs more memory than there is.
    """
    labels = []
    for frame in frames:
        try:
            logits = logits_of(network, frame, input_size)
        except (MemoryError, RuntimeError, cv2.error) as error:
            raise ExportError(f"--input-size is {input_size}: the network can't be run at it "
                              f'({reason(error)}); give a smaller one') from error
        if not logits.isfinite().all():
            raise ExportError(f'{checkpoint}: its logits are NaN or infinite, so its labels are '
                              'meaningless: take an earlier checkpoint, or train again')
        labels.append(label_of(logits))
    return labels


def parity_frames_of(network: SegRet, input_size: Size, frames: list[np.ndarray]) -> str:
    """Encode some of the frames with their labels in PyTorch, to be stored in the file."""
    chosen = frames[::-(-len(frames) // PARITY_FRAMES)]
    files = [compressed(cv2.resize(frame, input_size[::-1], interpolation=cv2.INTER_AREA))
             for frame in chosen]
    return encode([(jpeg, predict(network, decompressed(jpeg), input_size)) for jpeg in files])


def share_equal(model: Path, frames: Iterable[np.ndarray], expected: list[np.ndarray]) -> float:
    """Return the share of pixels that a model file labels as expected, 0..1."""
    segmenter = Segmenter(model, 'cpu', confidence=False)
    equal = sum(np.count_nonzero(segmenter(frame).label == label)
                for frame, label in zip(frames, expected))
    return equal / sum(label.size for label in expected)


def problem_of(candidate: Path, info: ModelInfo, share: float) -> str:
    """
    Return why a file must not be written, with the way out, or an empty text.

    :param share: of pixels of real frames with the labels of PyTorch.
    """
    if info.precision == 'float32':
        least = LEAST_SHARE_EQUAL['float32']
        return '' if share >= least else (
            f'only {share:.4%} of the labels are those of PyTorch, at least {least:.1%} must be. '
            'Try another --input-size or other versions of torch and onnxscript')
    model = Model.load(candidate)
    problem = compare(open_engine(model, 'cpu'), model.parity_frames, len(info.labels),
                      info.precision).problem()
    way_out = {'float16': 'Take --precision float32',
               'int8': f'Its ranges were measured on {info.quantised_on}: give images of '
                       'your camera with --quantise-on, or take --precision float16'}
    return problem and f'{problem}. {way_out[info.precision]}'
