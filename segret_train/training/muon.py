# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
Muon: momentum whose updates of weight matrices are orthogonalised.

Source: Jordan et al., Muon: an optimizer for hidden layers in neural networks, 2024; its update is
scaled to that of AdamW as in Liu et al., Muon is scalable for LLM training, arXiv 2502.16982.
"""

from itertools import groupby

import torch
from torch import nn, Tensor
from torch.optim import Optimizer

COEFFICIENTS = (3.4445, -4.775, 2.0315)  # of the Newton-Schulz iteration
ITERATIONS = 5
ADAM_RMS = 0.2  # of an update of AdamW at learning rate 1


class Muon(Optimizer):
    """
    Muon for weights of two or more dimensions.

    PyTorch's own iterates in bfloat16 only, which is slower on a CPU, and needs PyTorch 2.9.

    :param groups: of parameters, as PyTorch's optimizers take them; weights (outputs, ...).
    """

    def __init__(self, groups: list[dict], lr: float, weight_decay: float = 0.0,
                 momentum: float = 0.95) -> None:
        super().__init__(groups, {'lr': lr, 'weight_decay': weight_decay, 'momentum': momentum})

    @torch.no_grad()
    def step(self) -> None:
        """Update the weights along their gradients."""
        for group in self.param_groups:
            weights = sorted((weight for weight in group['params'] if weight.grad is not None),
                             key=_matrix_shape)
            for (rows, columns), alike in groupby(weights, key=_matrix_shape):
                self._step(list(alike), group, ADAM_RMS * max(rows, columns) ** 0.5)

    def _step(self, weights: list[nn.Parameter], group: dict, scale: float) -> None:
        """Update weights whose matrices have the same shape."""
        gradients = [weight.grad for weight in weights]
        averages = [self._average(weight) for weight in weights]
        torch._foreach_lerp_(averages, gradients, 1 - group['momentum'])
        updates = torch._foreach_lerp(gradients, averages, group['momentum'])  # Nesterov's
        updates = orthogonalised(torch.stack([update.flatten(1) for update in updates]))
        torch._foreach_mul_(weights, 1 - group['lr'] * group['weight_decay'])
        rate = group['lr'] * scale
        if isinstance(rate, Tensor):  # which can't be an alpha
            updates, rate = updates * rate, 1.0
        for weight, update in zip(weights, updates):
            weight.add_(update.view(weight.shape), alpha=-rate)

    def _average(self, weight: nn.Parameter) -> Tensor:
        """Return the moving average of a weight's gradient."""
        state = self.state[weight]
        if not state:
            state['average'] = torch.zeros_like(weight)
        return state['average']


def orthogonalised(matrices: Tensor) -> Tensor:
    """
    Return matrices with all singular values near 1 (0.7 to 1.2).

    A GPU computes in float16, whose range is wide enough: no number grows beyond 10.

    :param matrices: (number, rows, columns) float32.
    """
    tall = matrices.shape[-2] > matrices.shape[-1]
    x = matrices.mT if tall else matrices
    x = x / x.norm(dim=(-2, -1), keepdim=True).clamp(min=1e-7)
    if x.is_cuda:
        x = x.half()
    for _ in range(ITERATIONS):
        x = _iterated(x)
    return (x.mT if tall else x).to(matrices.dtype)


def _iterated(x: Tensor) -> Tensor:
    """Return the next matrices of the Newton-Schulz iteration."""
    a, b, c = COEFFICIENTS
    gram = x @ x.mT
    if x.is_cuda:  # three kernels instead of eight
        return torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return a * x + (b * gram + c * gram @ gram) @ x


def _matrix_shape(weight: nn.Parameter) -> tuple[int, int]:
    return weight.shape[0], weight[0].numel()
