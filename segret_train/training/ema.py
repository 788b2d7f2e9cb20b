# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""The exponential moving average of a network's weights."""

from segret_ros.network import SegRet
import torch
from torch import Tensor
from torch.optim.swa_utils import AveragedModel


def make_average(network: SegRet, decay: float) -> AveragedModel:
    """
    Give the moving average of a network, statistics included; `update_parameters` goes on with it.

    It starts shorter, at (1 + steps) / (10 + steps), so that it forgets the first weights.
    """
    def update(averages: list[Tensor], values: list[Tensor], steps: Tensor) -> None:
        share = 1 - min(decay, (1 + int(steps)) / (10 + int(steps)))
        if averages[0].is_floating_point():
            torch._foreach_lerp_(averages, values, share)
        else:  # counts of batches
            torch._foreach_copy_(averages, values)

    average = AveragedModel(network, multi_avg_fn=update, use_buffers=True)
    average.module.eval()
    return average.requires_grad_(False)
