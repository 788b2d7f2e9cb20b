"""SegRet's decoder: four levels with zero-initialised residuals (SegRet, arXiv 2502.14014)."""

import torch
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
        nn.init.zeros_(self.classify.bias)

    def forward(self, features: list[Tensor]) -> Tensor:
        """
        Give the logits.

        :param features: four (B, C, H / stride, W / stride), strides 4 to 32.
        :return: (B, classes, H / 4, W / 4).
        """
        size = features[0].shape[2:]
        levels = [functional.interpolate(level(feature), size, mode='bilinear',
                                         align_corners=False) if index > 0 else level(feature)
                  for index, (level, feature) in enumerate(zip(self.levels, features))]
        fused = self.fuse(torch.cat(levels[::-1], dim=1))  # deepest level first
        return self.classify(self.dropout(functional.relu(self.fuse_norm(fused))))


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
        nn.init.zeros_(self.residual.weight)  # so that the level starts as its linear layer alone
        nn.init.zeros_(self.residual.bias)

    def forward(self, x: Tensor) -> Tensor:
        """
        Give the level in the decoder's width.

        :param x: (B, C, H, W).
        :return: (B, E, H, W).
        """
        linear = self.linear(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
        return functional.relu(linear + self.residual_norm(self.residual(x)))
