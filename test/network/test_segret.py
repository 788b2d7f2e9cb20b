# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""The network's shapes, parameters, gradients, initial state and refusals."""

import pytest
from segret_ros.network import SegRet, VARIANTS
from segret_ros.network.attention import attention_over
from segret_ros.network.backbone import Backbone, RetentionBlock
from segret_ros.network.decay import ManhattanDecay
from segret_ros.network.decoder import Level
import torch
from torch import Tensor


def images(count: int, height: int = 64, width: int = 64) -> Tensor:
    """Return normalised noise, (count, 3, height, width)."""
    return torch.randn(count, 3, height, width, generator=torch.Generator().manual_seed(0))


def test_the_variants_are_five() -> None:
    assert list(VARIANTS) == ['nano', 'tiny', 'small', 'base', 'large']


@pytest.mark.parametrize(('variant', 'num_classes', 'decoder_channels', 'millions'), [
    ('nano', 11, None, 3.07), ('tiny', 19, None, 13.44), ('tiny', 150, None, 13.49),
    ('small', 150, None, 26.00), ('base', 19, 768, 56.21), ('large', 19, None, 95.73),
])
def test_parameters_are_the_papers(variant: str, num_classes: int, decoder_channels: int | None,
                                   millions: float) -> None:
    network = SegRet(variant, num_classes, decoder_channels)
    total = sum(parameter.numel() for parameter in network.parameters())
    total += (128 + 1) * num_classes  # the published counts include a classifier that nothing uses
    assert round(total / 1e6, 2) == millions


@pytest.mark.parametrize(('height', 'width'), [(32, 32), (33, 47), (65, 97), (32, 160)])
def test_logits_have_stride_4_at_any_size(network: SegRet, height: int, width: int) -> None:
    with torch.inference_mode():
        logits = network(images(2, height, width))
    assert logits.shape == (2, 3, -(-height // 4), -(-width // 4))
    assert logits.isfinite().all()


@pytest.mark.parametrize('shape', [(1, 3, 31, 64), (1, 3, 64, 31), (1, 4, 64, 64), (3, 64, 64)])
def test_another_input_is_refused_by_its_shape(network: SegRet, shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError) as caught:
        network(torch.zeros(shape))
    assert str(shape) in str(caught.value)
    assert 'at least 32' in str(caught.value)


@pytest.mark.parametrize(('arguments', 'value'), [
    ({'variant': 'huge'}, "'huge'"), ({'num_classes': 0}, 'num_classes is 0'),
    ({'num_classes': 256}, 'num_classes is 256'),
    ({'decoder_channels': 0}, 'decoder_channels is 0')])
def test_what_does_not_exist_is_refused(arguments: dict, value: str) -> None:
    with pytest.raises(ValueError, match=value):
        SegRet(**arguments)


def test_an_image_does_not_depend_on_its_batch(network: SegRet) -> None:
    batch = images(3)
    with torch.inference_mode():
        torch.testing.assert_close(network(batch)[1:2], network(batch[1:2]), atol=1e-5, rtol=0)


def test_evaluation_is_deterministic_and_training_is_not(network: SegRet) -> None:
    with torch.inference_mode():
        assert torch.equal(network(images(2)), network(images(2)))
        trained = SegRet('nano', num_classes=3).train()
        assert not torch.equal(trained.decoder.dropout(torch.ones(1, 64, 1, 1)),
                               torch.ones(1, 64, 1, 1))


def test_gradients_reach_every_parameter() -> None:
    torch.manual_seed(0)
    network = SegRet('nano', num_classes=3).eval()  # batch statistics would cancel biases
    for level in network.decoder.levels:
        torch.nn.init.normal_(level.residual.weight)  # a norm of nothing learns nothing
    network(images(1)).square().sum().backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        # The same number added to all of a query's logits changes no softmax.
        assert name.endswith('retention.key.bias') or parameter.grad.any(), name


def test_the_decoders_residual_starts_at_zero_and_learns() -> None:
    torch.manual_seed(0)
    level = Level(channels=8, width=4)
    x = images(2)[:, :1].repeat(1, 8, 1, 1) * torch.arange(1, 9)[:, None, None]
    linear = level.linear(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2).relu()
    for mode in (True, False):
        torch.testing.assert_close(level.train(mode)(x), linear)
    level(x).sum().backward()
    assert level.residual.weight.grad.any()
    torch.nn.init.ones_(level.residual.weight)
    assert not torch.equal(level(x), linear)


@pytest.mark.parametrize(('training', 'kinds'), [(True, 4), (False, 1)])
def test_stochastic_depth_drops_each_residual_only_in_training(training: bool,
                                                               kinds: int) -> None:
    torch.manual_seed(0)
    block = RetentionBlock(channels=8, heads=2, ffn_ratio=3, layer_scale=False, drop_path=0.5)
    one = images(1, 4, 4).mean(1)[..., None].repeat(1, 1, 1, 8)
    with torch.inference_mode():
        attend = attention_over((4, 4), ManhattanDecay(2, 4), decomposed=False)
        cells = block.train(training)(one.repeat(64, 1, 1, 1), attend)
    assert len(cells.flatten(1).round(decimals=4).unique(dim=0)) == kinds


def test_stochastic_depth_keeps_the_mean() -> None:
    torch.manual_seed(0)
    block = RetentionBlock(channels=8, heads=2, ffn_ratio=3, layer_scale=True, drop_path=0.25)
    torch.nn.init.zeros_(block.retention_scale)
    torch.nn.init.ones_(block.ffn_scale)
    x = images(1, 2, 2).mean(1)[..., None].repeat(2000, 1, 1, 8)
    attend = attention_over((2, 2), ManhattanDecay(2, 4), False)
    with torch.inference_mode():
        position = x + block.position(x)
        whole = (block.eval()(x[:1], attend) - position[:1]).abs().mean().item()
        dropped = (block.train()(x, attend) - position).abs().mean().item()
    assert dropped == pytest.approx(whole, rel=0.05)


def test_stochastic_depth_grows_from_zero_to_the_variants() -> None:
    stages = Backbone(VARIANTS['small']).stages
    drop_paths = [block.drop_path for stage in stages for block in stage.blocks]
    assert drop_paths == pytest.approx([0.15 * block / 28 for block in range(3 + 4 + 18 + 4)])


def test_layer_scale_starts_at_almost_nothing() -> None:
    block = RetentionBlock(channels=8, heads=2, ffn_ratio=3, layer_scale=True, drop_path=0)
    assert block.ffn_scale.tolist() == pytest.approx([1e-6] * 8)
    assert block.retention_scale.tolist() == pytest.approx([1e-6] * 8)


def test_the_network_is_one_graph_to_a_compiler(network: SegRet) -> None:
    batch = images(2)
    compiled = torch.compile(network, backend='eager', fullgraph=True)  # a break would raise
    with torch.inference_mode():
        torch.testing.assert_close(compiled(batch), network(batch))
    program = torch.export.export(network, (batch,))
    torch.testing.assert_close(program.module()(batch), network(batch))
