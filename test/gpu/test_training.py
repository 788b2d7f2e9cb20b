# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Training on a GPU: captured steps learn what eager steps and the CPU learn."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
import json
import os
from pathlib import Path
from statistics import median
import subprocess
import sys
import time

import cv2
import numpy as np
import pytest
import torch

pytest.importorskip('jsonargparse')

from segret_train.datasets import DataSet, open_data_set  # noqa: E402
from segret_train.recipe import Recipe  # noqa: E402
from segret_train.training import step as step_module  # noqa: E402
from segret_train.training.initial_network import make_network  # noqa: E402
from segret_train.training.loss import Loss  # noqa: E402
from segret_train.training.muon import orthogonalised  # noqa: E402
from segret_train.training.optimizer import (  # noqa: E402
    learning_rate_at,
    make_optimizer,
    MovingAverage,
    set_learning_rate,
)
from segret_train.training.process_group import ProcessGroup  # noqa: E402
from segret_train.training.step import (  # noqa: E402
    Batch,
    CapturedFunction,
    compute_gradients,
    EAGER_CALLS,
    NonFiniteLoss,
    seed_step,
    start_training_mode,
    TrainingStep,
)
from segret_train.training.training_run import TrainingRun  # noqa: E402

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason='needs an NVIDIA GPU')
ROOT = Path(__file__).parents[2]
CLASSES = 5
NOTHING_CAPTURED = 10 ** 6  # eager calls
STEPS_MEASURED = 20
RECIPE = Recipe(dataset='camvid', variant='nano', iterations=50, batch_size=2, crop=(64, 96),
                learning_rate=1e-3, muon_rate=4.0, warmup=5, no_decay='vectors', ema=0.9,
                class_balance=0.2, validate_every=50)


class Learner:
    """A network with all that a run trains it with, on random crops that can be learned."""

    def __init__(self, recipe: Recipe, device: str, autocast: bool = False) -> None:
        self.recipe, self.taken = recipe, 0
        group = ProcessGroup(device)
        self.network = make_network(recipe, CLASSES, group.device)
        self.optimizer = make_optimizer(self.network, recipe)
        self.average = MovingAverage(self.network, recipe.ema)
        loss = Loss(recipe, CLASSES, group.device, np.linspace(0.5, 2, CLASSES).tolist())
        gradients = partial(compute_gradients, self.network, loss, group, autocast)
        self.step = TrainingStep(gradients, self._update, group)
        start_training_mode(self.network, recipe)

    def learn(self, steps: int) -> list[float]:
        """Take steps and return their losses."""
        return [self._learn_once() for _ in range(steps)]

    def _learn_once(self) -> float:
        random = np.random.default_rng(self.taken)
        batches = [crops(random, self.recipe) for _ in range(self.recipe.accumulate)]
        seed_step(self.recipe, self.taken, rank=0)
        set_learning_rate(self.optimizer, learning_rate_at(self.recipe, self.taken))
        self.taken += 1
        return self.step(batches)

    def _update(self) -> None:
        self.optimizer.step()
        self.average.update()

    def state(self) -> dict[str, torch.Tensor]:
        """Return copies of weights, statistics, their averages, and the optimizers' state."""
        moments = {f'{number}.{key}.{name}': value
                   for number, part in enumerate(self.optimizer.state_dict()['optimizers'])
                   for key, state in part['state'].items() for name, value in state.items()}
        return {name: value.detach().cpu().clone() for name, value in
                {**self.network.state_dict(), **self.average.state_dict(), **moments}.items()}


def crops(random: np.random.Generator, recipe: Recipe) -> Batch:
    """Return images whose colours tell their labels, some of them ignored."""
    coarse = random.integers(0, CLASSES + 1, (recipe.batch_size, 4, 8)).astype(np.uint8)
    targets = coarse.repeat(recipe.crop[0] // 4, 1).repeat(recipe.crop[1] // 8, 2)
    images = np.stack([targets * 40, 255 - targets * 40, targets * 20], 3)
    targets[targets == CLASSES] = 255
    return torch.from_numpy(images), torch.from_numpy(targets)


def assert_close(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> None:
    """
    Compare the weights of two states, which differ by the order in which a GPU adds.

    All at once, for some have no gradient but rounding errors, which AdamW makes as large as any.
    """
    assert one.keys() == other.keys()
    weights, others = (torch.cat([state[name].flatten() for name in one if '.weight' in name])
                       for state in (one, other))
    assert (weights - others).norm() < 0.01 * weights.norm()


@pytest.mark.parametrize(('accumulate', 'autocast'), [(1, False), (2, False), (1, True)])
def test_captured_steps_are_the_eager_ones(accumulate: int, autocast: bool,
                                           monkeypatch: pytest.MonkeyPatch) -> None:
    """With dropout and stochastic depth, whose random numbers are a function of the step."""
    recipe = replace(RECIPE, accumulate=accumulate)
    captured = Learner(recipe, 'cuda', autocast)
    losses = captured.learn(EAGER_CALLS + 5)
    assert captured.step.gradients.graph and captured.step.update.graph
    monkeypatch.setattr(step_module, 'EAGER_CALLS', NOTHING_CAPTURED)
    eager = Learner(recipe, 'cuda', autocast)
    np.testing.assert_allclose(losses, eager.learn(EAGER_CALLS + 5), rtol=0.01)
    if not autocast:
        assert_close(captured.state(), eager.state())


@pytest.mark.parametrize('precision', ['float32', 'bfloat16'])
def test_fifty_steps_lose_what_they_lose_on_the_cpu(precision: str) -> None:
    """Without dropout, whose random numbers are a device's own."""
    recipe = replace(RECIPE, dropout=0.0, drop_path=0.0)
    losses = [Learner(recipe, device, autocast).learn(recipe.iterations) for device, autocast in
              (('cpu', False), ('cuda', precision == 'bfloat16'))]
    cpu, cuda = (np.reshape(values, (5, -1)).mean(1) for values in losses)
    assert cpu[-1] < 0.8 * cpu[0]
    np.testing.assert_allclose(cuda, cpu, rtol=0.01 if precision == 'float32' else 0.03)


def test_the_learning_rate_reaches_captured_steps() -> None:
    learner = Learner(replace(RECIPE, weight_decay=0.0), 'cuda')
    learner.learn(EAGER_CALLS + 2)
    before = [parameter.clone() for parameter in learner.network.parameters()]
    learner.recipe = replace(learner.recipe, learning_rate=1e-30)
    learner.learn(1)
    assert all(map(torch.equal, before, learner.network.parameters()))


@pytest.mark.parametrize('shape', [(3, 32, 96), (2, 1152, 256), (1, 48, 48)])
def test_muon_turns_a_gradient_as_on_the_cpu(shape: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    spread = torch.logspace(0, -3, shape[2]) * torch.randn(shape)  # from large to small columns
    for gradient in (spread, 1e-6 * spread, torch.zeros(shape)):
        turned = orthogonalised(gradient.cuda()).cpu()
        error = (turned - orthogonalised(gradient)).norm(dim=(1, 2))
        assert (error <= 0.01 * min(shape[1:]) ** 0.5).all(), error


@pytest.mark.parametrize('steps', [1, EAGER_CALLS + 2])
def test_a_loss_that_is_no_number_changes_no_weights(steps: int) -> None:
    learner = Learner(RECIPE, 'cuda')
    learner.learn(steps)
    with torch.no_grad():
        learner.network.decoder.classify.bias[1] = float('nan')
    before = learner.state()
    with pytest.raises(NonFiniteLoss, match='the loss is nan'):
        learner.learn(1)
    for name, value in learner.state().items():
        if 'running_' not in name and 'num_batches' not in name:  # of the forward pass
            torch.testing.assert_close(value, before[name], rtol=0, atol=0, equal_nan=True)


def test_a_graph_reads_tables_that_the_cache_forgot() -> None:
    """As after a validation of frames of many sizes."""
    validated, plain = Learner(RECIPE, 'cuda'), Learner(RECIPE, 'cuda')
    for learner in (validated, plain):
        learner.learn(EAGER_CALLS + 2)
    with torch.inference_mode():
        network = validated.average.module
        kept = [network(torch.zeros(1, 3, 32 * rows, 32 * columns, device='cuda'))
                for rows in range(1, 7) for columns in range(1, 7)]
    np.testing.assert_allclose(validated.learn(4), plain.learn(4), rtol=0.01)
    del kept


def test_a_captured_function_runs_on_the_current_stream() -> None:
    counter = torch.zeros((), device='cuda')
    count = CapturedFunction(lambda: counter.add_(1), torch.cuda.Stream())
    values = [float(count()) for _ in range(EAGER_CALLS + 4)]
    assert values == list(range(1, EAGER_CALLS + 5))


@pytest.fixture
def camvid(tmp_path: Path) -> DataSet:
    """Return a CamVid of 8 frames to train on and 2 to validate."""
    random = np.random.default_rng(0)
    for split, count in (('train', 8), ('val', 2)):
        for kind in ('images', 'labels'):
            (tmp_path / 'camvid' / kind / split).mkdir(parents=True)
        for number in range(count):
            label = random.integers(0, 12, (5, 6)).astype(np.uint8).repeat(16, 0).repeat(16, 1)
            place = tmp_path / 'camvid'
            cv2.imwrite(str(place / 'images' / split / f'{number}.png'),
                        cv2.applyColorMap(label * 20, cv2.COLORMAP_JET))
            cv2.imwrite(str(place / 'labels' / split / f'{number}.png'), label)
    return open_data_set('camvid', tmp_path / 'camvid')


@pytest.mark.parametrize('first', ['cuda', 'cpu'])
def test_a_stopped_run_ends_as_an_uninterrupted_one(
        camvid: DataSet, tmp_path: Path, first: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Even one that began on the CPU; without what is random or rounded by device."""
    monkeypatch.setattr(torch.backends.cudnn, 'allow_tf32', False)
    recipe = replace(RECIPE, iterations=10, precision='float32', dropout=0.0, drop_path=0.0)

    def run(folder: str, device: str, steps: int) -> dict[str, torch.Tensor]:
        training = TrainingRun(recipe, camvid, tmp_path / folder, ProcessGroup(device), workers=2)
        training.train(lambda: training.step == steps)
        return {name: value.cpu() for name, value in training.network.state_dict().items()}

    whole = run('whole', 'cuda', 10)
    run('stopped', first, 5)
    assert_close(run('stopped', 'cuda', 10), whole)


@pytest.mark.skipif(torch.cuda.device_count() < 2, reason='needs two NVIDIA GPUs')
def test_two_gpus_learn_as_one(camvid: DataSet, tmp_path: Path) -> None:
    losses = []
    for processes in (1, 2):
        output = tmp_path / str(processes)
        launcher = ['-m', 'torch.distributed.run', '--standalone', '--nproc-per-node', '2']
        ran = subprocess.run(
            [sys.executable, *(launcher if processes > 1 else []), '-m', 'segret_train.train',
             '--data', str(camvid.root), '--output', str(output), '--iterations', '10',
             '--batch-size', str(4 // processes), '--crop', '[64,96]', '--precision', 'float32',
             '--dropout', '0', '--drop-path', '0', '--freeze-batch-norm', 'true'],
            env={**os.environ, 'PYTHONPATH': str(ROOT)}, capture_output=True, text=True)
        assert ran.returncode == 0, ran.stderr
        losses.append(json.loads((output / 'log.jsonl').read_text().splitlines()[-1])['loss'])
    assert losses[0] == pytest.approx(losses[1], rel=0.01)


@pytest.mark.parametrize('precision', ['bfloat16', 'float32'])
def test_a_step_of_tiny_fits_in_five_gigabytes(precision: str, measured: Callable) -> None:
    recipe = replace(RECIPE, variant='tiny', crop=(512, 1024), muon_rate=0.0)
    measure_step(recipe, precision, measured)
    assert torch.cuda.max_memory_allocated() < 5e9


def test_how_fast_nano_learns(measured: Callable) -> None:
    """Without the making of crops; `tools/training_speed.py` measures with it."""
    milliseconds = measure_step(replace(RECIPE, batch_size=8, crop=(256, 320)), 'bfloat16',
                                measured)
    measured('nano learns', 8e3 / milliseconds, 'images/s')


def measure_step(recipe: Recipe, precision: str, measured: Callable) -> float:
    """Measure the median time and the memory of a captured step, and return the former in ms."""
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    learner = Learner(recipe, 'cuda', precision == 'bfloat16')
    learner.learn(EAGER_CALLS + 2)
    times_ms = []
    for _ in range(STEPS_MEASURED):
        torch.cuda.synchronize()
        start = time.perf_counter()
        learner.step(learner.step.batches)
        torch.cuda.synchronize()
        times_ms.append(1e3 * (time.perf_counter() - start))
    name = f'step of {recipe.variant}, {recipe.batch_size} x {" x ".join(map(str, recipe.crop))}'
    measured(f'{name}, {precision}', median(times_ms), 'ms')
    measured(f'{name}, {precision}', torch.cuda.max_memory_allocated() / 1e6, 'MB')
    return median(times_ms)
