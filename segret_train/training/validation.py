# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Scores of a network in training, shared among the processes."""

from dataclasses import dataclass

import numpy as np
from segret_ros.labels.metrics import ConfusionMatrix
from segret_ros.network import SegRet
from segret_train.datasets import Sample
from segret_train.evaluation import predict
from segret_train.protocol import Protocol
from segret_train.recipe import Recipe
from segret_train.training.world import World


@dataclass(frozen=True)
class Scores:
    """
    What a validation found.

    :param confusion: over all frames.
    :param frames: mean IoU of each frame by its name, 0..1; NaN where it has no label.
    """

    confusion: ConfusionMatrix
    frames: dict[str, float]


def validate(network: SegRet, samples: list[Sample], recipe: Recipe, world: World) -> Scores:
    """
    Give a network's scores on whole images, equal on each process.

    :param network: in evaluation mode.
    """
    confusion = ConfusionMatrix(network.num_classes)
    frames = {}
    for sample in world.share(samples):
        frame = ConfusionMatrix(network.num_classes)
        frame.add(sample.label(), predicted(network, sample.image(), recipe))
        confusion.counts += frame.counts
        frames[sample.name] = frame.mean_iou()
    confusion.counts = world.sum_counts(confusion.counts)
    return Scores(confusion, world.merge(frames))


def predicted(network: SegRet, image_rgb: np.ndarray, recipe: Recipe) -> np.ndarray:
    """
    Give the label of an image, whole at the recipe's size.

    :param image_rgb: (H, W, 3) uint8.
    :return: (H, W) uint8.
    """
    return predict(network, image_rgb, Protocol(recipe.short_side).sizes(image_rgb.shape[:2])[0])
