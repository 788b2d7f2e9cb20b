# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""How a recipe updates each parameter: optimizers, learning rates and the moving average."""

from copy import deepcopy

from segret_train.recipe import Recipe
from segret_train.training.muon import Muon
import torch
from torch import nn, Tensor
from torch.nn.modules.batchnorm import _BatchNorm
from torch.optim import AdamW, Optimizer

NORMS = (_BatchNorm, nn.LayerNorm)
FIRST_SHARE = 1e-6  # of the learning rate, at the first step of the warm-up


class Optimizers:
    """Optimizers that step as one, each for parameters of its own."""

    def __init__(self, optimizers: list[Optimizer]) -> None:
        self.optimizers = optimizers

    @property
    def param_groups(self) -> list[dict]:
        """Return the parameter groups of all of them."""
        return [group for optimizer in self.optimizers for group in optimizer.param_groups]

    def step(self) -> None:
        """Update the parameters along their gradients."""
        for optimizer in self.optimizers:
            optimizer.step()

    def state_dict(self) -> dict:
        """Return the state that `load_state_dict` restores."""
        return {'optimizers': [optimizer.state_dict() for optimizer in self.optimizers]}

    def load_state_dict(self, state: dict) -> None:
        """Restore a state, of whatever device; the groups stay as the recipe makes them."""
        for optimizer, saved in zip(self.optimizers, state['optimizers'], strict=True):
            optimizer.load_state_dict({**optimizer.state_dict(), 'state': saved['state']})


def make_optimizer(network: nn.Module, recipe: Recipe) -> Optimizers:
    """
    Make AdamW, and Muon beside it where the recipe asks for it.

    On a GPU, learning rates are tensors there, which a CUDA graph reads at each replay.

    :param network: on its device; has a `backbone`, and a decoder or other layers beside it.
    """
    groups = parameter_groups(network, recipe)
    device = next(network.parameters()).device
    if device.type == 'cuda':
        for group in groups:
            group['lr'] = torch.tensor(recipe.learning_rate, device=device)
    optimizers: list[Optimizer] = [AdamW(
        [group for group in groups if not group['muon']], lr=recipe.learning_rate,
        betas=(0.9, 0.999), fused=True, capturable=device.type == 'cuda')]
    if recipe.muon_rate:
        optimizers.append(Muon([group for group in groups if group['muon']],
                               lr=recipe.learning_rate))
    return Optimizers(optimizers)


def parameter_groups(network: nn.Module, recipe: Recipe) -> list[dict]:
    """
    Return groups of `params`, `weight_decay`, `rate` (share of the learning rate) and `muon`.

    Parameters that are treated alike form one group, in the network's order.
    """
    norms = {id(parameter) for module in network.modules() if isinstance(module, NORMS)
             for parameter in module.parameters()}
    backbone = {id(parameter) for parameter in network.backbone.parameters()}
    matrices = {id(weight) for weight in hidden_matrices(network)} if recipe.muon_rate else set()
    groups: dict[tuple[float, float, bool], list[nn.Parameter]] = {}
    for parameter in network.parameters():
        is_norm, muon = id(parameter) in norms, id(parameter) in matrices
        decays = {'nothing': True, 'norms': not is_norm, 'vectors': parameter.ndim > 1}
        decay = recipe.weight_decay if decays[recipe.no_decay] else 0.0
        rate = recipe.backbone_rate if id(parameter) in backbone else 1.0
        if is_norm and id(parameter) in backbone:
            rate *= recipe.backbone_norm_rate
        if muon:
            rate *= recipe.muon_rate
        groups.setdefault((decay, rate, muon), []).append(parameter)
    return [{'params': parameters, 'weight_decay': decay, 'rate': rate, 'muon': muon}
            for (decay, rate, muon), parameters in groups.items()]


def hidden_matrices(network: nn.Module) -> list[nn.Parameter]:
    """Return the weights of linear layers and dense convolutions, except the last layers'."""
    hidden = [network.backbone]
    if hasattr(network, 'decoder'):  # a pretraining task has none
        hidden += [network.decoder.levels, network.decoder.fuse]
    return [module.weight for part in hidden for module in part.modules()
            if isinstance(module, nn.Linear)
            or isinstance(module, nn.Conv2d) and module.groups == 1]


def learning_rate_at(recipe: Recipe, step: int) -> float:
    """Return the learning rate of a step, 0..iterations - 1: polynomial decay after a warm-up."""
    poly = (1 - step / recipe.iterations) ** recipe.poly_power
    warm = min(1, step / recipe.warmup) if recipe.warmup else 1
    return recipe.learning_rate * poly * (FIRST_SHARE + (1 - FIRST_SHARE) * warm)


def set_learning_rate(optimizer: Optimizers, rate: float) -> None:
    """Set each group's share of a learning rate."""
    for group in optimizer.param_groups:
        if isinstance(group['lr'], Tensor):
            group['lr'].fill_(rate * group['rate'])
        else:
            group['lr'] = rate * group['rate']


class MovingAverage(nn.Module):
    """
    The exponential moving average of a network, statistics included.

    The decay starts at (1 + updates) / (10 + updates), so that the first weights are soon
    forgotten; the first update copies them.
    """

    n_averaged: Tensor

    def __init__(self, network: nn.Module, decay: float) -> None:
        super().__init__()
        self.decay = decay
        self.module = deepcopy(network).eval().requires_grad_(False)
        device = next(network.parameters()).device
        self.register_buffer('n_averaged', torch.zeros((), dtype=torch.int64, device=device))
        self._pairs = [(own.detach(), other.detach()) for own, other in
                       zip(_tensors(self.module), _tensors(network), strict=True)]

    def update(self) -> None:
        """Move towards the network; a GPU need not be waited for."""
        updates = self.n_averaged.double()
        decay = ((1 + updates) / (10 + updates)).clamp(max=self.decay)
        share = (1 - decay).masked_fill(updates == 0, 1).float()
        for average, value in self._pairs:
            if average.is_floating_point():
                average.lerp_(value, share)
            else:  # numbers of batches
                average.copy_(value)
        self.n_averaged += 1


def _tensors(network: nn.Module) -> list[Tensor]:
    return [*network.parameters(), *network.buffers()]
