# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
Manhattan self-attention with spatial decay: the retention of SegRet's backbone.

Source: Fan et al., RMT: Retentive Networks Meet Vision Transformers, CVPR 2024, section 3.
"""

from segret_ros.network.attention import Attention
from torch import nn, Tensor


class DepthwiseConv2d(nn.Conv2d):
    """
    A depthwise convolution that keeps the size, on channels-last tensors.

    :param channels: C.
    :param kernel_size: odd.
    """

    def __init__(self, channels: int, kernel_size: int) -> None:
        super().__init__(channels, channels, kernel_size, padding=kernel_size // 2,
                         groups=channels)

    def forward(self, x: Tensor) -> Tensor:
        """
        Convolve the cells.

        :param x: (B, H, W, C).
        :return: (B, H, W, C).
        """
        # The permuted tensor is what PyTorch calls memory_format=channels_last: nothing is copied.
        return super().forward(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)


class Retention(nn.Module):
    """
    Attention over cells with spatial decay, plus a local enhancement of the values.

    :param channels: C, divided by `heads`.
    :param heads: n.
    """

    def __init__(self, channels: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query = nn.Linear(channels, channels)
        self.key = nn.Linear(channels, channels)
        self.value = nn.Linear(channels, channels)
        self.local = DepthwiseConv2d(channels, kernel_size=5)
        self.output = nn.Linear(channels, channels)
        for linear in (self.query, self.key, self.value, self.output):
            nn.init.xavier_normal_(linear.weight, gain=1.0 if linear is self.output else 2 ** -2.5)
            nn.init.zeros_(linear.bias)

    def forward(self, x: Tensor, attend: Attention) -> Tensor:
        """
        Attend to the cells.

        :param x: (B, H, W, C).
        :param attend: of `attention_over`, for the grid of these cells.
        :return: (B, H, W, C).
        """
        query, key, value = self.query(x), self.key(x), self.value(x)
        heads = [tensor.unflatten(3, (self.heads, -1)) for tensor in (query, key, value)]
        attended = attend(*heads).flatten(3)  # (B, H, W, C)
        return self.output(self.local(value).add_(attended))
