# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Validation during training, distributed over the processes."""

from typing import NamedTuple

import numpy as np
from segret_ros.labels.metrics import ConfusionMatrix
from segret_ros.network import SegRet
from segret_train.datasets import Sample
from segret_train.protocol import predict, Protocol
from segret_train.recipe import Recipe
from segret_train.training.process_group import ProcessGroup


class Validation(NamedTuple):
    """
    The result of a validation.

    :param confusion: over all frames.
    :param frames: mean IoU of each frame by name, 0..1; NaN where it has no label.
    """

    confusion: ConfusionMatrix
    frames: dict[str, float]


def validate(network: SegRet, samples: list[Sample], recipe: Recipe,
             group: ProcessGroup) -> Validation:
    """
    Score a network on whole images; the result is equal on each process.

    :param network: in evaluation mode.
    """
    confusion = ConfusionMatrix(network.num_classes)
    frames = {}
    for sample in group.share(samples):
        frame = ConfusionMatrix(network.num_classes)
        frame.add(sample.label(), predict_by_recipe(network, sample.image(), recipe))
        confusion.counts += frame.counts
        frames[sample.name] = frame.mean_iou()
    confusion.counts = group.sum_counts(confusion.counts)
    return Validation(confusion, group.merge(frames))


def predict_by_recipe(network: SegRet, image_rgb: np.ndarray, recipe: Recipe) -> np.ndarray:
    """
    Label a whole image at the recipe's size.

    :param image_rgb: (H, W, 3) uint8.
    :return: (H, W) uint8.
    """
    return predict(network, image_rgb, Protocol(recipe.short_side).sizes(image_rgb.shape[:2])[0])
