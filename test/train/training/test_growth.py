# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""A larger network that starts as a trained smaller one."""

from dataclasses import replace
from pathlib import Path

import pytest
from segret_ros.network import load_checkpoint, save_checkpoint, SegRet
from segret_ros.network.variants import VARIANTS
from segret_train.training.initial_network import grow
import torch

NAMES, PALETTE = ['road', 'car', 'tree'], [[128, 64, 128], [0, 0, 142], [107, 142, 35]]
SMALL = replace(VARIANTS['nano'], channels=(8, 16, 32, 64), decay_range=(0, 0, 0, 0))
LARGE = replace(SMALL, channels=(16, 32, 64, 128), depths=(2, 3, 8, 2), heads=(4, 4, 8, 16),
                decoder_channels=256)


@pytest.fixture
def trained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Save the checkpoint of a small network without any initial zeros or statistics."""
    monkeypatch.setitem(VARIANTS, 'nano', SMALL)
    monkeypatch.setitem(VARIANTS, 'tiny', LARGE)
    torch.manual_seed(0)
    network = SegRet('nano', 3)
    with torch.no_grad():
        for value in network.state_dict().values():
            if value.is_floating_point():
                value.add_(0.1 * torch.rand_like(value))
    save_checkpoint(network, tmp_path / 'small.safetensors', NAMES, PALETTE, {})
    return tmp_path / 'small.safetensors'


def test_a_grown_network_is_the_same_function_where_the_decays_agree(trained: Path) -> None:
    large, images = SegRet('tiny', 3), torch.randn(2, 3, 64, 96)
    grow(large, trained)
    small = load_checkpoint(trained)
    for training in (False, True):
        for network in (small, large):
            network.train(training)
            network.decoder.dropout.p = 0.0
            for block in [block for stage in network.backbone.stages for block in stage.blocks]:
                block.drop_path = 0.0
        torch.testing.assert_close(large(images), small(images), atol=2e-4, rtol=1e-3)


def test_copies_learn_apart(trained: Path) -> None:
    large = SegRet('tiny', 3)
    grow(large, trained)
    large.train()
    large(torch.randn(2, 3, 64, 96)).square().mean().backward()
    first, second = large.backbone.stages[2].blocks[1].ffn[0].weight.grad.chunk(2)
    assert (first - second).norm() > 0.05 * first.norm()
    silent = large.backbone.stages[2].blocks[7]
    assert silent.ffn[-1].weight.grad.norm() > 0


@pytest.mark.parametrize(('variant', 'classes'), [('tiny', 4), ('nano', 3), ('small', 3)])
def test_what_does_not_fit_does_not_grow(trained: Path, variant: str, classes: int) -> None:
    network = SegRet(variant, classes)
    with pytest.raises(ValueError, match=f"a nano of 3 classes can't grow into a {variant} of "
                                         f'{classes}, which must have the same classes, twice'):
        grow(network, trained)
