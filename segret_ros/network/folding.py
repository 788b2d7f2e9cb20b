# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""BatchNorm at evaluation: a scale and an offset, folded into the layer before."""

from collections.abc import Iterator
from typing import Any

import torch
from torch import nn, Tensor
from torch.nn import functional


class FoldingSequential(nn.Sequential):
    """Layers in order; a convolution and its BatchNorm are one pass at evaluation."""

    def forward(self, x: Tensor) -> Tensor:
        """Return the last layer's output, (B, C, H, W)."""
        layers: Iterator[Any] = iter(self)
        for layer in layers:
            if isinstance(layer, nn.Conv2d):
                x = conv_and_norm(x, layer, next(layers))
            else:
                x = layer(x)
        return x


def conv_and_norm(x: Tensor, conv: nn.Conv2d, norm: nn.BatchNorm2d) -> Tensor:
    """Return norm(conv(x)), (B, C, H, W); at evaluation in one pass over x."""
    if norm.training:
        return norm(conv(x))
    weight, bias = folded(conv.weight, conv.bias, norm)
    return functional.conv2d(x, weight, bias, conv.stride, conv.padding)


def folded(weight: Tensor, bias: Tensor | None, norm: nn.BatchNorm2d) -> tuple[Tensor, Tensor]:
    """
    Return the weight and bias of one layer equal to a layer and its norm at evaluation.

    :param weight: (outputs, ...).
    :param bias: (outputs,), or None for zeros.
    """
    assert norm.running_mean is not None and norm.running_var is not None
    scale = norm.weight * torch.rsqrt(norm.running_var + norm.eps)  # (outputs,)
    offset = norm.bias - norm.running_mean * scale
    if bias is not None:
        offset = offset + bias * scale
    return weight * scale.view(-1, *[1] * (weight.ndim - 1)), offset
