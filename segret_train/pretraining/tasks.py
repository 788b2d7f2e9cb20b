# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""What a backbone learns before it learns a data set: a teacher's features, or images' classes."""

from segret_ros.network import SegRet
import torch
from torch import nn, Tensor
from torch.nn import functional

LABEL_SMOOTHING = 0.1


class Distillation(nn.Module):
    """
    Learn a teacher's features, cell by cell at strides 4 to 32.

    :param network: whose backbone learns.
    :param teacher: gives four features of (B, 3, H, W); its `channels` tells their widths.
    """

    def __init__(self, network: SegRet, teacher: nn.Module) -> None:
        super().__init__()
        self.backbone = network.backbone
        self.teacher = [teacher.eval().requires_grad_(False)]  # in a list: no part of the weights
        widths = [stage.blocks[0].retention_norm.weight.numel() for stage in self.backbone.stages]
        self.projections = nn.ModuleList(
            nn.Conv2d(own, taught, 1) for own, taught in zip(widths, teacher.channels))

    def forward(self, images: Tensor, classes: Tensor) -> Tensor:
        """
        Give the loss: 1 less the cosine between learnt and taught features, the mean over cells.

        Taught features are centred and scaled channel by channel, for a few would rule the cosine.

        :param images: (B, 3, H, W), normalised.
        :param classes: not used.
        """
        with torch.no_grad():
            taught = self.teacher[0](images)
        losses = []
        for own, target, project in zip(self.backbone(images), taught, self.projections):
            target = functional.batch_norm(target, None, None, training=True)
            losses.append(1 - functional.cosine_similarity(project(own), target).mean())
        return torch.stack(losses).mean()


class Classification(nn.Module):
    """
    Learn the classes of images from the mean of the deepest stage's cells.

    :param network: whose backbone learns.
    """

    def __init__(self, network: SegRet, classes: int) -> None:
        super().__init__()
        self.backbone = network.backbone
        width = self.backbone.stages[-1].blocks[0].retention_norm.weight.numel()
        self.norm = nn.LayerNorm(width)
        self.classify = nn.Linear(width, classes)

    def forward(self, images: Tensor, classes: Tensor) -> Tensor:
        """
        Give the cross-entropy.

        :param images: (B, 3, H, W), normalised.
        :param classes: (B,) int64.
        """
        mean = self.backbone(images)[-1].mean((2, 3))  # (B, C)
        return functional.cross_entropy(self.classify(self.norm(mean)), classes,
                                        label_smoothing=LABEL_SMOOTHING)
