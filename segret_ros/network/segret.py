# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""The SegRet network: backbone and decoder (Li, Chang, Wu: SegRet, arXiv 2502.14014)."""

from typing import Any

from segret_ros.network.backbone import Backbone
from segret_ros.network.decoder import Decoder
from segret_ros.network.variants import VARIANTS
import torch
from torch import nn, Tensor

MEAN = (123.675, 116.28, 103.53)  # RGB on 0..255, ImageNet's
STD = (58.395, 57.12, 57.375)
SMALLEST_SIDE = 32  # pixels: one cell of the deepest stage


class SegRet(nn.Module):
    """
    Semantic segmentation with a retentive backbone.

    :param variant: a key of `VARIANTS`.
    :param num_classes: 1..255; 255 itself stands for unknown.
    :param decoder_channels: decoder width E; the variant's own by default.
    :raises ValueError: for a variant, class count or width that does not exist.
    """

    def __init__(self, variant: str = 'tiny', num_classes: int = 19,
                 decoder_channels: int | None = None) -> None:
        super().__init__()
        if variant not in VARIANTS:
            raise ValueError(f'no SegRet variant {variant!r}: choose one of {", ".join(VARIANTS)}')
        if not 1 <= num_classes <= 255:
            raise ValueError(f'num_classes is {num_classes}: it must be 1..255')
        if decoder_channels is None:
            decoder_channels = VARIANTS[variant].decoder_channels
        if decoder_channels < 1:
            raise ValueError(f'decoder_channels is {decoder_channels}: it must be at least 1')
        self.variant = variant
        self.class_names: list[str] = []  # in id order, where a checkpoint has them
        self.palette: list[list[int]] = []  # RGB 0..255 of each class
        self.training_record: dict[str, Any] = {}  # how the weights were made
        self.num_classes = num_classes
        self.decoder_channels = decoder_channels
        self.backbone = Backbone(VARIANTS[variant])
        self.decoder = Decoder(VARIANTS[variant].channels, decoder_channels, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """
        Compute class logits at stride 4.

        :param x: (B, 3, H, W) float, RGB, normalised by `MEAN` and `STD`; sides of at least 32.
        :return: (B, classes, H / 4, W / 4), rounded up.
        :raises ValueError: for another rank, channel count or too small a side.
        """
        if x.ndim != 4 or x.shape[1] != 3 or min(x.shape[2:]) < SMALLEST_SIDE:
            raise ValueError(f'the input has shape {tuple(x.shape)}: it must be (B, 3, H, W) with '
                             f'H and W of at least {SMALLEST_SIDE}')
        return self.decoder(self.backbone(x.contiguous(memory_format=torch.channels_last)))
