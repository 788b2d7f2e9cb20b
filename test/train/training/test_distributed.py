# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Two processes over gloo learn what one process does."""

from collections.abc import Callable
import json
import os
from pathlib import Path
import subprocess
import sys

import numpy as np
import pytest
from segret_train.recipe import Recipe
from segret_train.training import training_run
from segret_train.training.crops import BatchNumbers
from segret_train.training.process_group import ProcessGroup
import torch

ROOT = Path(__file__).parents[3]
STEPS = 20


ARGUMENTS = ['--iterations', STEPS, '--warmup', 0, '--learning-rate', 1e-4, '--dropout', 0,
             '--drop-path', 0, '--freeze-batch-norm', 'true', '--ema', 0.9, '--validate-every', 10]


def test_two_processes_learn_as_one(train: Callable[..., int], camvid_tree: Path, tmp_path: Path,
                                    monkeypatch: pytest.MonkeyPatch) -> None:
    """In 20 steps of 4 crops, each logged, without dropout and with frozen statistics."""
    arguments = *ARGUMENTS, '--data', camvid_tree, '--output'
    monkeypatch.setattr(training_run, 'LOG_EVERY', 1)
    assert train(*arguments, tmp_path / 'one', '--batch-size', 4) == 0
    subprocess.run([sys.executable, '-m', 'torch.distributed.run', '--standalone',
                    '--nproc-per-node', '2', ROOT / 'test/train/small_nano.py', 'train',
                    '--device', 'cpu', '--workers', '0', '--batch-size', '2', '--crop', '[32,32]',
                    *map(str, arguments), tmp_path / 'two'], cwd=ROOT, check=True,
                   env={**os.environ, 'PYTHONPATH': str(ROOT), 'OMP_NUM_THREADS': '1'})
    one, two = ([json.loads(line) for line in (tmp_path / name / 'log.jsonl').open()]
                for name in ('one', 'two'))
    assert [record['step'] for record in two] == list(range(1, STEPS + 1))
    losses = [[record['loss'] for record in records] for records in (one, two)]
    np.testing.assert_allclose(*losses, rtol=1e-5)
    states = [torch.load(tmp_path / name / 'last.pt') for name in ('one', 'two')]
    weights = [state['network']['decoder.fuse.weight'] for state in states]
    torch.testing.assert_close(*weights, rtol=0, atol=2e-4)
    assert states[0]['best']['step'] == states[1]['best']['step']
    counts = [np.array(state['best']['confusion']) for state in states]
    assert counts[0].sum() == counts[1].sum()  # every frame once
    assert np.abs(counts[0] - counts[1]).sum() <= 0.01 * counts[0].sum()
    assert list(states[0]['best']['frames']) == list(states[1]['best']['frames']) == ['00', '01']
    assert (tmp_path / 'two' / 'report.html').is_file()


@pytest.mark.parametrize('accumulate', [1, 3])
def test_processes_share_the_crops_of_one(recipe: Recipe, accumulate: int) -> None:
    """All crops of a step are those of a single process with as large a batch, each once."""
    shares = []
    for rank in range(2):
        group = ProcessGroup('cpu')
        group.rank, group.size = rank, 2
        values = Recipe(**{**recipe.values(), 'accumulate': accumulate, 'batch_size': 2})
        shares.append(list(BatchNumbers(values, group, first_step=1)))
    steps = [sorted(number for share in shares
                    for numbers in share[start:start + accumulate] for number in numbers)
             for start in range(0, len(shares[0]), accumulate)]
    size = 4 * accumulate
    assert steps == [list(range(step * size, (step + 1) * size)) for step in (1, 2, 3)]
