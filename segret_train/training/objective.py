# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""What a step minimises."""

from segret_ros.labels.label_set import UNKNOWN
from segret_train.recipe import Recipe
from segret_train.teacher import load_network
import torch
from torch import nn, Tensor
from torch.nn import functional


class Objective:
    """
    Cross-entropy over the labelled pixels of a step, mixed with a teacher's answers on demand.

    :param classes: of the network.
    :param weights: one a class; all 1 if left out.
    :raises ValueError: for a teacher of another number of classes.
    """

    def __init__(self, recipe: Recipe, classes: int, device: torch.device,
                 weights: list[float] | None = None) -> None:
        self.smoothing = recipe.label_smoothing
        self.weights = torch.tensor(weights or [1.0] * classes, dtype=torch.float32, device=device)
        self.teacher: nn.Module | None = None
        self.teacher_share = recipe.teacher_share if recipe.teacher else 0.0
        if recipe.teacher:
            self.teacher = load_network(recipe.teacher).to(device).requires_grad_(False)
            if self.teacher.num_classes != classes:
                raise ValueError(f'{recipe.teacher}: a teacher of {self.teacher.num_classes} '
                                 f'classes, not {classes}: train one on this data set')

    def labelled(self, targets: Tensor) -> Tensor:
        """Give the weight of all labelled pixels, the number of them where all weights are 1."""
        return self.weights[targets[targets != UNKNOWN].long()].sum(dtype=torch.float64)

    def __call__(self, logits: Tensor, images: Tensor, targets: Tensor, labelled: Tensor,
                 views: int) -> Tensor:
        """
        Give a batch's part of the loss; the parts of all batches of a step add up to it.

        :param logits: (B, classes, H / 4, W / 4).
        :param images: (B, 3, H, W), normalised, for the teacher.
        :param targets: (B, H, W) uint8, 255 where there is no class.
        :param labelled: of the whole step, as of `labelled`.
        :param views: of the whole step.
        """
        # Class by class in memory, as the cross-entropy wants it: cheaper here than at full size.
        large = functional.interpolate(logits.float().contiguous(), targets.shape[1:],
                                       mode='bilinear', align_corners=False)
        entropy = functional.cross_entropy(
            large, targets.long(), self.weights, ignore_index=UNKNOWN, reduction='sum',
            label_smoothing=self.smoothing)
        loss = entropy / labelled.clamp(min=1).float()  # a step without labels teaches nothing
        if self.teacher is None:
            return loss
        divergence = self._divergence(logits.float(), images) / views
        return (1 - self.teacher_share) * loss + self.teacher_share * divergence

    def _divergence(self, logits: Tensor, images: Tensor) -> Tensor:
        """Give the divergence from the teacher (Kullback-Leibler): an image's mean, summed."""
        with torch.no_grad():
            taught = self.teacher(images).float().log_softmax(1)
        divergence = functional.kl_div(logits.log_softmax(1), taught, reduction='sum',
                                       log_target=True)
        return divergence / logits[0, 0].numel()
