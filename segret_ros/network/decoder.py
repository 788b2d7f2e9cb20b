# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""SegRet's decoder: four levels with zero-initialised residuals (SegRet, arXiv 2502.14014)."""

from segret_ros.network.folding import folded
from torch import nn, Tensor
from torch.nn import functional

DROPOUT = 0.1


class Decoder(nn.Module):
    """
    Class logits at stride 4 from the backbone's four levels.

    :param channels: of the four levels, from stride 4 to stride 32.
    :param width: E, the decoder's channels.
    :param num_classes: classes.
    """

    def __init__(self, channels: tuple[int, ...], width: int, num_classes: int) -> None:
        super().__init__()
        self.levels = nn.ModuleList(Level(level_channels, width) for level_channels in channels)
        self.fuse = nn.Conv2d(len(channels) * width, width, 1, bias=False)
        self.fuse_norm = nn.BatchNorm2d(width)
        self.dropout = nn.Dropout2d(DROPOUT)
        self.classify = nn.Conv2d(width, num_classes, 1)
        nn.init.kaiming_normal_(self.fuse.weight, nonlinearity='relu')
        nn.init.normal_(self.classify.weight, std=0.01)
        nn.init.zeros_(self.classify.get_parameter('bias'))

    def forward(self, features: list[Tensor]) -> Tensor:
        """
        Compute the logits.

        :param features: four (B, C, H / stride, W / stride), strides 4 to 32.
        :return: (B, classes, H / 4, W / 4).
        """
        size = features[0].shape[2:]
        weight, bias = self.fuse.weight, None
        if not self.training:
            weight, bias = folded(weight, None, self.fuse_norm)
        # The fusing convolution comes before the resizing, which is linear and channel by channel:
        # the same sum, with a third of the work. Its weights begin with the deepest level.
        weights = weight.chunk(len(self.levels), dim=1)[::-1]
        fused = functional.conv2d(self.levels[0](features[0]), weights[0], bias)
        for feature, level, weight in zip(features[1:], self.levels[1:], weights[1:]):
            part = functional.conv2d(level(feature), weight)
            part = functional.interpolate(part, size, mode='bilinear', align_corners=False)
            fused = part.add_(fused)
        if self.training:
            fused = self.fuse_norm(fused)
        return self.classify(self.dropout(fused.relu_()))


class Level(nn.Module):
    """
    One level's features in the decoder's width: relu(linear(x) + BatchNorm(conv1x1(x))).

    :param channels: of the level.
    :param width: E.
    """

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.linear = nn.Linear(channels, width)
        self.residual = nn.Conv2d(channels, width, 1)
        self.residual_norm = nn.BatchNorm2d(width)
        for parameter in self.residual.parameters():  # the level starts as its linear layer alone
            nn.init.zeros_(parameter)

    def forward(self, x: Tensor) -> Tensor:
        """
        Project the level to the decoder's width.

        :param x: (B, C, H, W).
        :return: (B, E, H, W).
        """
        if self.training:
            linear = self.linear(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
            return self.residual_norm(self.residual(x)).add_(linear).relu_()
        return functional.conv2d(x, *self.merged()).relu_()

    def merged(self) -> tuple[Tensor, Tensor]:
        """Return the linear layer that both paths are at evaluation: (E, C, 1, 1) and (E,)."""
        weight, bias = folded(self.residual.weight, self.residual.bias, self.residual_norm)
        return weight + self.linear.weight[:, :, None, None], bias + self.linear.bias
