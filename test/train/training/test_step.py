# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""The loss of a step, by hand, and its effect on the weights."""

from dataclasses import replace
from functools import partial
import math
from pathlib import Path
from typing import Any

import pytest
from segret_ros.network import save_checkpoint, SegRet
from segret_train.recipe import Recipe
from segret_train.training.loss import Loss
from segret_train.training.optimizer import make_optimizer, MovingAverage
from segret_train.training.process_group import ProcessGroup
from segret_train.training.step import (
    compute_gradients,
    seed_step,
    start_training_mode,
    TrainingStep,
)
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

CPU = torch.device('cpu')
WAITING = ('_local_scalar_dense', 'equal', 'is_nonzero', 'lift_fresh', 'masked_select', 'nonzero')


class NoWaiting(TorchDispatchMode):
    """Refuse operations that wait for a GPU: they read a value, or write one from Python."""

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (),
                           kwargs: Any = None) -> Any:
        """Run an operation."""
        name = function.overloadpacket.__name__
        assert name not in WAITING, name
        if name == 'index':  # by a mask, the size of the result is a value
            assert all(index.dtype != torch.bool for index in args[1] if index is not None)
        return function(*args, **(kwargs or {}))


def make_step(network: nn.Module, recipe: Recipe, group: ProcessGroup) -> TrainingStep:
    """Return the step of a network of 3 classes, which is put into training mode."""
    start_training_mode(network, recipe)
    gradients = partial(compute_gradients, network, Loss(recipe, 3, CPU), group, False)
    return TrainingStep(gradients, make_optimizer(network, recipe).step, group)


def batch(crops: int = 2) -> tuple[torch.Tensor, torch.Tensor]:
    """Return random images and targets: class 2 above, ignored below."""
    images = torch.randint(0, 256, (crops, 32, 32, 3), dtype=torch.uint8)
    targets = torch.full((crops, 32, 32), 255, dtype=torch.uint8)
    targets[:, :16] = 2
    return images, targets


def loss_of(recipe: Recipe, logits: list[float], targets: list[int],
            weights: list[float] | None = None) -> float:
    """Compute the loss of pixels of equal logits, in one row of one crop."""
    loss = Loss(recipe, len(logits), CPU, weights)
    target = torch.tensor([[targets]], dtype=torch.uint8)  # (1, 1, pixels)
    scores = torch.tensor(logits)[None, :, None, None].expand(1, -1, 1, len(targets))
    return float(loss(scores, torch.zeros(1, 3, 32, 32), target,
                      loss.labelled_weight(target), 1))


def test_the_loss_is_the_mean_over_labelled_pixels(recipe: Recipe) -> None:
    logits = [math.log(1), math.log(3)]  # probabilities 1/4 and 3/4
    expected = -(math.log(0.25) + 2 * math.log(0.75)) / 3
    assert loss_of(recipe, logits, [0, 1, 1, 255]) == pytest.approx(expected)


def test_class_weights_count_in_sum_and_norm(recipe: Recipe) -> None:
    logits = [math.log(1), math.log(3)]
    expected = -(4 * math.log(0.25) + 2 * math.log(0.75)) / 6
    assert loss_of(recipe, logits, [0, 1, 1, 255], [4, 1]) == pytest.approx(expected)


def test_label_smoothing_gives_all_classes_a_share(recipe: Recipe) -> None:
    logits = [math.log(1), math.log(3)]
    expected = -(0.9 * math.log(0.75) + 0.1 * math.log(0.25))
    smoothed = replace(recipe, label_smoothing=0.2)
    assert loss_of(smoothed, logits, [1, 255]) == pytest.approx(expected)


def test_a_teacher_pulls_towards_its_answers(recipe: Recipe, tmp_path: Path) -> None:
    torch.manual_seed(0)
    teacher = SegRet('nano', num_classes=2)
    with torch.no_grad():
        teacher.decoder.classify.weight.zero_()
        teacher.decoder.classify.bias.copy_(torch.tensor([math.log(3), 0.0]))
    path = tmp_path / 'teacher.safetensors'
    save_checkpoint(teacher, path, ['a', 'b'], [[0, 0, 0], [1, 1, 1]], {})
    taught = replace(recipe, teacher=str(path), teacher_share=1.0)
    expected = 0.75 * math.log(0.75 / 0.25) + 0.25 * math.log(0.25 / 0.75)
    loss = Loss(taught, 2, CPU)
    logits = torch.tensor([0.0, math.log(3)])[None, :, None, None].expand(5, 2, 8, 8)
    targets = torch.zeros(5, 32, 32, dtype=torch.uint8)
    value = loss(logits, torch.zeros(5, 3, 32, 32), targets, loss.labelled_weight(targets), 10)
    assert float(value) == pytest.approx(expected / 2, rel=1e-5)  # 5 of the step's 10 crops
    with pytest.raises(ValueError, match='the teacher has 2 classes, not 3'):
        Loss(taught, 3, CPU)


def test_steps_follow_the_labels_and_ignore_255(recipe: Recipe, group: ProcessGroup) -> None:
    torch.manual_seed(0)
    step, data = make_step(SegRet('nano', num_classes=3), recipe, group), batch()
    losses = [step([data]) for _ in range(12)]
    assert losses[0] == pytest.approx(math.log(3), abs=0.1)
    assert losses[-1] < 0.6 * losses[0]


def test_a_batch_without_labels_teaches_nothing(recipe: Recipe, group: ProcessGroup) -> None:
    torch.manual_seed(0)
    network = SegRet('nano', num_classes=3)
    step = make_step(network, replace(recipe, weight_decay=0), group)
    images, targets = batch()
    before = network.decoder.classify.weight.clone()
    assert step([(images, torch.full_like(targets, 255))]) == 0
    assert torch.equal(network.decoder.classify.weight, before)


def test_a_step_never_waits_for_its_device(recipe: Recipe, tmp_path: Path,
                                           group: ProcessGroup) -> None:
    """What waits can't be part of a CUDA graph."""
    path = tmp_path / 'teacher.safetensors'
    save_checkpoint(SegRet('nano', num_classes=3), path, list('abc'), [[0, 0, 0]] * 3, {})
    recipe = replace(recipe, muon_rate=4.0, label_smoothing=0.1, teacher=str(path))
    network = SegRet('nano', num_classes=3)
    average = MovingAverage(network, decay=0.9)
    optimizer, loss = make_optimizer(network, recipe), Loss(recipe, 3, CPU, [1.0, 2.0, 3.0])

    def update() -> None:
        optimizer.step()
        average.update()

    step = TrainingStep(partial(compute_gradients, network, loss, group, False), update, group)
    step([batch(), batch()])  # fills caches
    with NoWaiting():
        step.gradients()
        step.update()
    with pytest.raises(AssertionError, match='_local_scalar_dense'), NoWaiting():
        float(step.gradients())


def test_a_step_takes_its_batches_into_the_same_memory(recipe: Recipe,
                                                       group: ProcessGroup) -> None:
    step = make_step(SegRet('nano', num_classes=3), recipe, group)
    given = [batch(), batch()]
    step(given[:1])
    places = [tensor.data_ptr() for tensor in step.batches[0]]
    step(given[1:])
    assert [tensor.data_ptr() for tensor in step.batches[0]] == places
    assert torch.equal(step.batches[0][0], given[1][0])
    assert not torch.equal(given[0][0], given[1][0])


def test_accumulated_batches_are_one_large_batch(recipe: Recipe, group: ProcessGroup) -> None:
    """With statistics frozen, of batches with different numbers of labelled pixels."""
    recipe = replace(recipe, freeze_batch_norm=True)
    torch.manual_seed(1)
    images, targets = batch(4)
    targets[0, :8] = 255
    parts = [(images[:2], targets[:2]), (images[2:], targets[2:])]
    losses, weights = [], []
    for batches in ([(images, targets)], parts):
        torch.manual_seed(0)
        network = SegRet('nano', num_classes=3)
        network.decoder.dropout.p = 0
        for stage in network.backbone.stages:
            for block in stage.blocks:
                block.drop_path = 0
        losses.append(make_step(network, recipe, group)(batches))
        weights.append(network.decoder.fuse.weight.grad)
    assert losses[0] == pytest.approx(losses[1], rel=1e-6)
    torch.testing.assert_close(weights[0], weights[1], rtol=1e-4, atol=1e-7)


def test_a_cpu_trains_in_float32(group: ProcessGroup) -> None:
    assert not group.autocasts('auto') and not group.autocasts('float32')


def test_frozen_statistics_stay(recipe: Recipe, group: ProcessGroup) -> None:
    for frozen in (True, False):
        values = replace(recipe, freeze_batch_norm=frozen)
        network = SegRet('nano', num_classes=3)
        make_step(network, values, group)([batch()])
        untouched = torch.equal(network.decoder.fuse_norm.running_mean, torch.zeros(128))
        assert untouched == frozen


def test_dropout_is_a_function_of_seed_step_and_process(recipe: Recipe) -> None:
    drawn = []
    for place in ((0, 0), (0, 0), (1, 0), (0, 1)):
        seed_step(recipe, *place)
        drawn.append(float(torch.rand(1)))
    assert drawn[0] == drawn[1]
    assert len(set(drawn)) == 3


def test_the_moving_average_starts_short_and_holds_statistics() -> None:
    network = SegRet('nano', num_classes=3)
    average = MovingAverage(network, decay=0.5)
    bias, kept = network.decoder.classify.bias, average.module.decoder.classify.bias
    values = []
    for value in (1.0, 2.0, 3.0):
        with torch.no_grad():
            bias.fill_(value)
        network.decoder.fuse_norm.num_batches_tracked += 1
        average.update()
        values.append(kept[0].item())
    # The first is a copy; then decays of 2/11 and 3/12.
    second = 2 / 11 * 1 + 9 / 11 * 2
    assert values == pytest.approx([1, second, 3 / 12 * second + 9 / 12 * 3])
    assert average.module.decoder.fuse_norm.num_batches_tracked == 3
    assert not average.module.training
