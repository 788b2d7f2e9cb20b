# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Muon: orthogonalised updates of weight matrices."""

from dataclasses import replace

import pytest
from segret_ros.network import SegRet
from segret_train.recipe import Recipe
from segret_train.training.muon import Muon, orthogonalised
from segret_train.training.optimizer import make_optimizer, set_learning_rate
import torch
from torch import nn, Tensor


def gradient_of(*shape: int) -> Tensor:
    """Return a gradient whose singular values are far apart, as in a network."""
    matrix = torch.randn(shape[0], torch.Size(shape[1:]).numel())
    left, values, right = torch.linalg.svd(matrix, full_matrices=False)
    return (left * torch.logspace(0, -1.5, len(values)) @ right).view(shape)


@pytest.mark.parametrize('shape', [(3, 32, 96), (2, 96, 32), (1, 48, 48)])
def test_singular_values_come_near_one_and_directions_stay(shape: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    matrices = torch.stack([gradient_of(*shape[1:]) for _ in range(shape[0])])
    given = orthogonalised(matrices)
    assert given.shape == shape
    values = torch.linalg.svdvals(given)
    assert 0.5 < values.min() and values.max() < 1.3
    left, _, right = torch.linalg.svd(matrices, full_matrices=False)
    turned = left.mT @ given @ right.mT  # diagonal where the directions are the same
    assert (turned - torch.diag_embed(turned.diagonal(dim1=1, dim2=2))).abs().max() < 1e-2
    assert turned.diagonal(dim1=1, dim2=2).min() > 0.5


def test_a_step_is_as_large_as_adamws() -> None:
    torch.manual_seed(0)
    weight = nn.Parameter(torch.ones(64, 16, 3, 3))
    optimizer = Muon([{'params': [weight]}], lr=0.01, weight_decay=0.5)
    weight.grad = gradient_of(64, 16, 3, 3)
    optimizer.step()
    moved = weight.detach() - (1 - 0.01 * 0.5)
    assert 0.75 < moved.square().mean().sqrt() / (0.01 * 0.2) < 1.15
    assert (moved * weight.grad).sum() < 0  # downhill


def test_weights_of_one_shape_do_not_mix() -> None:
    def stepped(gradients: list[Tensor]) -> list[Tensor]:
        weights = [nn.Parameter(torch.zeros(8, 24)) for _ in gradients]
        optimizer = Muon([{'params': weights}], lr=0.1)
        for _ in range(2):
            for weight, gradient in zip(weights, gradients):
                weight.grad = gradient
            optimizer.step()
        return [weight.detach() for weight in weights]
    torch.manual_seed(0)
    gradients = [gradient_of(8, 24), 100 * gradient_of(8, 24)]
    together = stepped(gradients)
    for own, alone in zip(together, [stepped([gradient])[0] for gradient in gradients]):
        torch.testing.assert_close(own, alone)


def test_a_rate_in_memory_counts_as_a_number_does() -> None:
    torch.manual_seed(0)
    gradient, stepped = gradient_of(8, 24), []
    for rate in (0.1, torch.tensor(0.1)):
        weight = nn.Parameter(torch.ones(8, 24))
        weight.grad = gradient
        Muon([{'params': [weight], 'lr': rate}], lr=1.0, weight_decay=0.5).step()
        stepped.append(weight.detach())
    torch.testing.assert_close(*stepped)


def test_a_weight_without_a_gradient_stays() -> None:
    weights = [nn.Parameter(torch.ones(4, 4)), nn.Parameter(torch.ones(4, 4))]
    weights[0].grad = torch.eye(4)
    Muon([{'params': weights}], lr=0.1, weight_decay=0.1).step()
    assert torch.equal(weights[1], torch.ones(4, 4))
    assert not torch.equal(weights[0], torch.ones(4, 4))


def test_dense_hidden_weights_are_muons_and_all_others_adamws(recipe: Recipe) -> None:
    network = SegRet('nano', num_classes=3)
    optimizer = make_optimizer(network, replace(recipe, muon_rate=4.0))
    names = {id(parameter): name for name, parameter in network.named_parameters()}
    adamw, muon = ({names[id(parameter)] for group in own.param_groups
                    for parameter in group['params']} for own in optimizer.optimizers)
    assert adamw | muon == set(names.values()) and not adamw & muon
    assert {'backbone.stem.0.weight', 'backbone.stages.1.blocks.0.retention.query.weight',
            'backbone.downsamples.0.0.weight', 'decoder.fuse.weight'} <= muon
    assert {'decoder.classify.weight', 'backbone.stages.0.blocks.0.position.weight',
            'backbone.stages.1.blocks.0.retention.local.weight', 'decoder.fuse_norm.weight',
            'backbone.stages.1.blocks.0.retention.query.bias'} <= adamw
    set_learning_rate(optimizer, 0.5)
    assert {group['lr'] for group in optimizer.optimizers[1].param_groups} == {2.0}
