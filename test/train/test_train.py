# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""The command: it trains, stops, survives a kill, and reports mistakes in one line."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
import os
from pathlib import Path
import signal
import subprocess
import sys
import time

import pytest
from segret_ros.files.output_folder import LIST
from segret_ros.network import load_checkpoint
import torch
from waiting import wait_for

ROOT = Path(__file__).parents[2]
ALONE = {**os.environ, 'PYTHONPATH': str(ROOT), 'OMP_NUM_THREADS': '1'}


def command(*arguments: object) -> list[str]:
    """Return the command line of `segret_train` with a small nano on 32 x 32 crops."""
    return [sys.executable, str(ROOT / 'test/train/small_nano.py'), 'train', '--device', 'cpu',
            '--batch-size', '2', '--crop', '[32,32]', '--warmup', '2', *map(str, arguments)]


@contextmanager
def running(file: Path, *arguments: object) -> Iterator[subprocess.Popen]:
    """Run `segret_train`, which has written a file; it has ended afterwards."""
    with subprocess.Popen(command(*arguments), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          text=True, cwd=ROOT, env=ALONE) as process:
        try:
            wait_for(file.exists, f'{file} of segret_train', timeout_s=120)
            yield process
        finally:
            process.kill()


@pytest.fixture
def refusal(train: Callable[..., int],
            capsys: pytest.CaptureFixture) -> Callable[..., str]:
    """Return a function that runs `segret_train` here, and returns its error, the last line."""
    def run(*arguments: object) -> str:
        assert train(*arguments) == 1
        output, error = capsys.readouterr()
        assert output == ''
        return error.strip().splitlines()[-1]
    return run


def test_the_command_trains_and_reports(train: Callable[..., int], camvid_tree: Path,
                                        tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    run = tmp_path / 'run'
    assert train('--iterations', 2, '--data', camvid_tree, '--output', run) == 0
    output, progress = capsys.readouterr()
    assert 'best val mIoU 0.' in output and f'report: {run / "report.html"}' in output
    assert 'image/s' in progress
    assert load_checkpoint(run / 'best.safetensors').num_classes == 11


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_and_saves(camvid_tree: Path, tmp_path: Path, number: int) -> None:
    state = tmp_path / 'run' / 'last.pt'
    with running(state, '--data', camvid_tree, '--output', tmp_path / 'run', '--validate-every',
                 2) as process:
        process.send_signal(number)
        output, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert 'Traceback' not in errors
    step = int(output.split('saved after step ')[1].split()[0])
    assert torch.load(state)['step'] == step


def test_a_killed_run_ends_as_an_uninterrupted_one(camvid_tree: Path, tmp_path: Path) -> None:
    """Killed at moments that no one chose: while it starts, steps, validates or saves."""
    arguments = ('--iterations', 12, '--validate-every', 3, '--ema', 0.9, '--data', camvid_tree,
                 '--backbone-rate', 0.5, '--weight-decay', 0.001, '--muon-rate', 2, '--output')
    killed, whole = tmp_path / 'killed', tmp_path / 'whole'
    for wait in (0.3, 0.05):
        with running(killed / 'recipe.yaml', *arguments, killed):
            time.sleep(wait)
    for folder in (killed, whole):
        subprocess.run(command(*arguments, folder), cwd=ROOT, env=ALONE, check=True)
    states = [torch.load(folder / 'last.pt') for folder in (killed, whole)]
    assert states[0]['best'] == states[1]['best']
    for part in ('network', 'average'):
        for key, value in states[0][part].items():
            assert torch.equal(value, states[1][part][key]), (part, key)
    assert list(killed.glob('.*')) == [killed / LIST]


def test_a_wrong_data_folder_is_an_error(tmp_path: Path, refusal: Callable) -> None:
    error = refusal('--data', tmp_path / 'nowhere', '--output', tmp_path / 'run')
    assert error.startswith(f'segret_train: {tmp_path}/nowhere: no images/train/*.jpg')


def test_a_loss_that_is_no_number_stops_the_run(camvid_tree: Path, tmp_path: Path,
                                                refusal: Callable) -> None:
    error = refusal('--data', camvid_tree, '--output', tmp_path / 'run', '--learning-rate', 1e38)
    assert error.startswith('segret_train: the loss is ')
    assert f'whose crops are in {tmp_path}/run/bad_batch_0.pt' in error
    assert 'lower --learning-rate (1e+38)' in error
    assert (tmp_path / 'run' / 'bad_batch_0.pt').is_file()
    assert not (tmp_path / 'run' / 'best.safetensors').exists()


@pytest.mark.skipif(torch.cuda.is_available(), reason='there is a GPU')
def test_a_missing_gpu_is_an_error(camvid_tree: Path, tmp_path: Path, refusal: Callable) -> None:
    error = refusal('--data', camvid_tree, '--output', tmp_path, '--device', 'cuda')
    assert 'PyTorch finds no GPU' in error
