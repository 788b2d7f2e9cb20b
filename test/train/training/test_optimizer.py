# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""How the optimizer treats each parameter, and its learning rate."""

from dataclasses import replace

import pytest
from segret_ros.network import SegRet
from segret_train.recipe import Recipe
from segret_train.training.optimizer import (
    learning_rate_at,
    make_optimizer,
    parameter_groups,
    set_learning_rate,
)
import torch


def treatment(network: SegRet, recipe: Recipe) -> dict[str, tuple[float, float]]:
    """Return weight decay and rate of each parameter by name."""
    by_id = {id(parameter): (group['weight_decay'], group['rate'])
             for group in parameter_groups(network, recipe) for parameter in group['params']}
    assert len(by_id) == len(list(network.parameters()))
    return {name: by_id[id(parameter)] for name, parameter in network.named_parameters()}


@pytest.mark.parametrize(('no_decay', 'rate', 'expected'), [
    ('nothing', 1.0, [(0.01, 1), (0.01, 1), (0.01, 1), (0.01, 1), (0.01, 1)]),
    ('norms', 0.1, [(0.01, 1), (0, 0.1), (0, 0.1), (0, 1), (0.01, 1)]),
    ('vectors', 1.0, [(0.01, 1), (0, 1), (0, 1), (0, 1), (0, 1)])])
def test_norms_are_treated_as_the_recipe_says(no_decay: str, rate: float, recipe: Recipe,
                                              expected: list[tuple[float, float]]) -> None:
    recipe = replace(recipe, no_decay=no_decay, backbone_norm_rate=rate)
    found = treatment(SegRet('nano', num_classes=3), recipe)
    assert [found[name] for name in (
        'decoder.fuse.weight', 'backbone.stages.0.blocks.0.ffn_norm.weight',
        'backbone.downsamples.1.1.bias', 'decoder.fuse_norm.weight',
        'decoder.classify.bias')] == expected


def test_groups_get_their_share_of_the_learning_rate(recipe: Recipe) -> None:
    optimizer = make_optimizer(SegRet('nano', num_classes=3),
                               replace(recipe, no_decay='norms', backbone_norm_rate=0.1))
    set_learning_rate(optimizer, 0.5)
    assert sorted(group['lr'] for group in optimizer.param_groups) == [0.05, 0.5, 0.5]


def test_a_rate_in_memory_stays_where_a_graph_reads_it(recipe: Recipe) -> None:
    optimizer = make_optimizer(SegRet('nano', num_classes=3), recipe)
    held = [torch.tensor(1.0) for _ in optimizer.param_groups]
    for group, rate in zip(optimizer.param_groups, held):
        group['lr'] = rate
    set_learning_rate(optimizer, 0.5)
    assert held == [0.5] * len(held)


def test_a_state_of_another_device_keeps_the_groups(recipe: Recipe) -> None:
    """On a GPU they hold what a CPU's do not."""
    saved = make_optimizer(SegRet('nano', num_classes=3), recipe).state_dict()
    for part in saved['optimizers']:
        for group in part['param_groups']:
            group['lr'] = torch.tensor(7.0)
            group['capturable'] = True
    optimizer = make_optimizer(SegRet('nano', num_classes=3), recipe)
    optimizer.load_state_dict(saved)
    assert {group['lr'] for group in optimizer.param_groups} == {1e-3}
    assert not any(group['capturable'] for group in optimizer.param_groups)


def test_learning_rate_warms_up_and_falls_to_zero(recipe: Recipe) -> None:
    recipe = replace(recipe, iterations=100, warmup=10)
    rates = [learning_rate_at(recipe, step) for step in range(100)]
    assert rates[0] == pytest.approx(1e-9)
    assert rates[5] == pytest.approx(1e-3 * 0.95 ** 0.9 * 0.5, rel=1e-5)
    assert max(rates) == rates[10] == pytest.approx(1e-3 * 0.9 ** 0.9)
    assert rates[99] == pytest.approx(1e-3 * 0.01 ** 0.9)
    assert learning_rate_at(replace(recipe, warmup=0), 0) == 1e-3
    assert learning_rate_at(replace(recipe, warmup=0, poly_power=1), 25) == pytest.approx(7.5e-4)
