# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""SegRet's backbone: a stem and four stages of retention blocks (RMT of December 2023)."""

from segret_ros.network.attention import Attention, attention_over
from segret_ros.network.decay import ManhattanDecay
from segret_ros.network.folding import FoldingSequential
from segret_ros.network.retention import DepthwiseConv2d, Retention
from segret_ros.network.variants import Variant
import torch
from torch import nn, Tensor

LAYER_SCALE_INITIAL = 1e-6


class Backbone(nn.Module):
    """
    Features at strides 4, 8, 16 and 32.

    :param variant: the widths, depths, heads and decays.
    """

    def __init__(self, variant: Variant) -> None:
        super().__init__()
        self.stem = stem(variant.channels[0])
        drop_paths = torch.linspace(0, variant.drop_path, sum(variant.depths)).tolist()
        self.stages = nn.ModuleList()
        self.downsamples = nn.ModuleList()
        for index, depth in enumerate(variant.depths):
            stage_drop_paths, drop_paths = drop_paths[:depth], drop_paths[depth:]
            self.stages.append(Stage(variant, index, stage_drop_paths))
            if index < 3:
                self.downsamples.append(downsample(*variant.channels[index:index + 2]))

    def forward(self, x: Tensor) -> list[Tensor]:
        """
        Compute the four stages' outputs, each before its downsampling.

        :param x: (B, 3, H, W).
        :return: four (B, C, H / stride, W / stride), rounded up.
        """
        x = self.stem(x)
        features = []
        for index, stage in enumerate(self.stages):
            if index > 0:
                x = self.downsamples[index - 1](x)
            x = stage(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
            features.append(x)
        return features


def stem(channels: int) -> FoldingSequential:
    """Return the four 3x3 convolutions to stride 4, (B, 3, H, W) to (B, channels, H/4, W/4)."""
    half = channels // 2
    layers: list[nn.Module] = []
    for inputs, outputs, stride in ((3, half, 2), (half, half, 1),
                                    (half, channels, 2), (channels, channels, 1)):
        layers += [nn.Conv2d(inputs, outputs, 3, stride, padding=1), nn.BatchNorm2d(outputs),
                   nn.GELU()]
    return FoldingSequential(*layers[:-1])  # no GELU after the last


def downsample(inputs: int, outputs: int) -> FoldingSequential:
    """Return the 3x3 convolution of stride 2 between two stages."""
    return FoldingSequential(nn.Conv2d(inputs, outputs, 3, stride=2, padding=1),
                             nn.BatchNorm2d(outputs))


class Stage(nn.Module):
    """
    Retention blocks of one width, which share one spatial decay.

    :param index: 0..3.
    :param drop_paths: stochastic depth of each block.
    """

    def __init__(self, variant: Variant, index: int, drop_paths: list[float]) -> None:
        super().__init__()
        self.decomposed = variant.decomposed[index]
        self.decay = ManhattanDecay(variant.heads[index], variant.decay_range[index])
        self.blocks = nn.ModuleList(
            RetentionBlock(variant.channels[index], variant.heads[index],
                           variant.ffn_ratios[index], variant.layer_scale[index], drop_path)
            for drop_path in drop_paths)

    def forward(self, x: Tensor) -> Tensor:
        """
        Run the blocks in turn.

        :param x: (B, H, W, C).
        :return: (B, H, W, C).
        """
        height, width = x.shape[1:3]
        attend = attention_over((height, width), self.decay, self.decomposed)
        for block in self.blocks:
            x = block(x, attend)
        return x


class RetentionBlock(nn.Module):
    """
    A positional depthwise convolution, retention and a feed-forward network, each a residual.

    :param channels: C.
    :param ffn_ratio: hidden width over C.
    :param layer_scale: learned scale per channel on the last two residuals.
    :param drop_path: chance of dropping an image's residual in training.
    """

    def __init__(self, channels: int, heads: int, ffn_ratio: int, layer_scale: bool,
                 drop_path: float) -> None:
        super().__init__()
        self.position = DepthwiseConv2d(channels, kernel_size=3)
        self.retention_norm = nn.LayerNorm(channels, eps=1e-6)
        self.retention = Retention(channels, heads)
        self.ffn_norm = nn.LayerNorm(channels, eps=1e-6)
        widen = nn.Linear(channels, ffn_ratio * channels)
        narrow = nn.Linear(ffn_ratio * channels, channels)
        self.ffn = nn.Sequential(widen, nn.GELU(), narrow)
        self.retention_scale = self.ffn_scale = None
        if layer_scale:
            self.retention_scale = nn.Parameter(torch.full((channels,), LAYER_SCALE_INITIAL))
            self.ffn_scale = nn.Parameter(torch.full((channels,), LAYER_SCALE_INITIAL))
        self.drop_path = drop_path
        for linear in (widen, narrow):
            nn.init.trunc_normal_(linear.weight, std=0.02)
            nn.init.zeros_(linear.bias)

    def forward(self, x: Tensor, attend: Attention) -> Tensor:
        """
        Run the block.

        :param x: (B, H, W, C).
        :param attend: see `Retention`.
        :return: (B, H, W, C).
        """
        x = x + self.position(x)
        # In place on each branch's last result, which no gradient needs: no new memory.
        x = self._residual(self.retention(self.retention_norm(x), attend),
                           self.retention_scale).add_(x)
        return self._residual(self.ffn(self.ffn_norm(x)), self.ffn_scale).add_(x)

    def _residual(self, branch: Tensor, scale: Tensor | None) -> Tensor:
        if scale is not None:
            branch = scale * branch
        if not self.training or self.drop_path == 0:
            return branch
        kept = 1 - self.drop_path
        mask = torch.full((len(branch), 1, 1, 1), kept, device=branch.device).bernoulli()
        return branch * mask / kept
