# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""The command: it trains, stops, survives a kill, and reports mistakes in one line."""

from collections.abc import Callable
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

ROOT = Path(__file__).parents[2]
ALONE = {**os.environ, 'PYTHONPATH': str(ROOT), 'OMP_NUM_THREADS': '1'}


def command(*arguments: object, small: bool = True) -> list[str]:
    """Return the command line of `segret_train` on 32 x 32 crops, with a small nano or not."""
    program = [str(ROOT / 'test/train/small_nano.py'), 'train'] if small else [
        '-m', 'segret_train.train']
    return [sys.executable, *program, '--device', 'cpu', '--batch-size', '2', '--crop',
            '[32,32]', '--warmup', '2', *map(str, arguments)]


def run(*arguments: object, small: bool = True) -> subprocess.CompletedProcess:
    """Run `segret_train` to its end."""
    return subprocess.run(command(*arguments, small=small), capture_output=True, text=True,
                          cwd=ROOT, env=ALONE)


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


def wait_for(path: Path, process: subprocess.Popen) -> None:
    """Wait until a process has written a file."""
    end = time.monotonic() + 120
    while not path.exists():
        assert process.poll() is None and time.monotonic() < end
        time.sleep(0.02)


def test_the_command_trains_and_reports(camvid_tree: Path, tmp_path: Path) -> None:
    ran = run('--iterations', 2, '--data', camvid_tree, '--output', tmp_path / 'run', small=False)
    assert ran.returncode == 0, ran.stderr
    assert 'best val mIoU 0.' in ran.stdout
    assert load_checkpoint(tmp_path / 'run' / 'best.safetensors').num_classes == 11
    assert f'report: {tmp_path / "run" / "report.html"}' in ran.stdout
    assert 'image/s' in ran.stderr


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_and_saves(camvid_tree: Path, tmp_path: Path, number: int) -> None:
    process = subprocess.Popen(
        command('--data', camvid_tree, '--output', tmp_path / 'run', '--validate-every', 2),
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT, env=ALONE)
    try:
        wait_for(tmp_path / 'run' / 'last.pt', process)
        process.send_signal(number)
        printed, errors = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 130
    assert 'Traceback' not in errors
    step = int(printed.split('saved after step ')[1].split()[0])
    assert torch.load(tmp_path / 'run' / 'last.pt')['step'] == step


def test_a_killed_run_ends_as_an_uninterrupted_one(camvid_tree: Path, tmp_path: Path) -> None:
    """Killed at moments that no one chose: while it starts, steps, validates or saves."""
    arguments = ('--iterations', 12, '--validate-every', 3, '--ema', 0.9, '--data', camvid_tree,
                 '--backbone-rate', 0.5, '--weight-decay', 0.001, '--muon-rate', 2)
    assert run(*arguments, '--output', tmp_path / 'whole').returncode == 0
    killed = tmp_path / 'killed'
    for wait in (0.3, 0.05):
        process = subprocess.Popen(command(*arguments, '--output', killed), cwd=ROOT, env=ALONE,
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_for(killed / 'recipe.yaml', process)
        time.sleep(wait)
        process.kill()
        process.wait()
    ran = run(*arguments, '--output', killed)
    assert ran.returncode == 0, ran.stderr
    whole, resumed = (torch.load(folder / 'last.pt') for folder in (tmp_path / 'whole', killed))
    assert whole['best'] == resumed['best']
    for part in ('network', 'average'):
        for key, value in whole[part].items():
            assert torch.equal(value, resumed[part][key]), (part, key)
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
