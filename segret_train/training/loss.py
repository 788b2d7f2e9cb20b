# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""The training loss, and the class weights that balance it."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from segret_ros.network import SegRet
from segret_train.datasets import IGNORE, Sample
from segret_train.recipe import Recipe
from segret_train.teacher import load_network
import torch
from torch import Tensor
from torch.nn import functional
from tqdm import tqdm


class Loss:
    """
    Cross-entropy over the labelled pixels of a step, optionally mixed with distillation.

    :param classes: of the network.
    :param weights: one for each class; all 1 if left out.
    :raises ValueError: for a teacher of another number of classes.
    """

    def __init__(self, recipe: Recipe, classes: int, device: torch.device,
                 weights: list[float] | None = None) -> None:
        self.smoothing = recipe.label_smoothing
        weights = weights or [1.0] * classes
        self.weights = torch.tensor(weights, dtype=torch.float32, device=device)
        self._weights_of_labels = torch.zeros(IGNORE + 1, device=device)
        self._weights_of_labels[:classes] = self.weights
        self.teacher: SegRet | None = None
        self.teacher_share = recipe.teacher_share
        if recipe.teacher:
            self.teacher = load_network(recipe.teacher).to(device).requires_grad_(False)
            if self.teacher.num_classes != classes:
                raise ValueError(f'{recipe.teacher}: the teacher has {self.teacher.num_classes} '
                                 f'classes, not {classes}: train one on this data set')

    def labelled_weight(self, targets: Tensor) -> Tensor:
        """Sum the weights of all labelled pixels: their number if all weights are 1."""
        return self._weights_of_labels[targets.long()].sum(dtype=torch.float64)

    def __call__(self, logits: Tensor, images: Tensor, targets: Tensor, labelled_weight: Tensor,
                 crops: int) -> Tensor:
        """
        Compute a batch's part of the loss; the parts of all batches of a step add up to it.

        :param logits: (B, classes, H / 4, W / 4).
        :param images: (B, 3, H, W), normalised, for the teacher.
        :param targets: (B, H, W) uint8, 255 to ignore.
        :param labelled_weight: of the whole step.
        :param crops: number of crops in the whole step.
        """
        # Contiguous by class, as cross_entropy needs it: cheaper here than at full size.
        large = functional.interpolate(logits.float().contiguous(), targets.shape[1:],
                                       mode='bilinear', align_corners=False)
        entropy = functional.cross_entropy(
            large, targets.long(), self.weights, ignore_index=IGNORE, reduction='sum',
            label_smoothing=self.smoothing)
        loss = entropy / labelled_weight.clamp(min=1).float()  # 0 for a step without labels
        if self.teacher is None:
            return loss
        with torch.no_grad():
            taught = self.teacher(images).float().log_softmax(1)
        # Kullback-Leibler divergence from the teacher: the mean of each image, summed.
        divergence = functional.kl_div(logits.float().log_softmax(1), taught, reduction='sum',
                                       log_target=True) / logits[0, 0].numel() / crops
        return (1 - self.teacher_share) * loss + self.teacher_share * divergence


def balanced_weights(samples: Sequence[Sample], classes: int, balance: float) -> list[float]:
    """
    Compute weights that make rare classes count more; their mean over labelled pixels is 1.

    :param samples: each label is read once.
    :param balance: 0..1; a class with a hundredth of the pixels weighs 100 ** balance as much.
    """
    counts = np.zeros(classes, np.int64)
    with ThreadPoolExecutor() as pool:
        for pixels in tqdm(pool.map(_count, samples), 'counting classes', len(samples),
                           unit='image', leave=False):
            counts += pixels[:classes]
    weights = np.maximum(counts, 1) ** -float(balance)  # absent classes need no weight
    return (weights * counts.sum() / (weights * counts).sum()).tolist()


def _count(sample: Sample) -> np.ndarray:
    return np.bincount(sample.label().ravel(), minlength=IGNORE + 1)
