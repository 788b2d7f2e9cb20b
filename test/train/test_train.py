"""Training on a small tree: resuming, refusals, and the command line."""

from dataclasses import replace
import json
from pathlib import Path
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from segret_ros.label_set import load_label_set
from segret_ros.network import load_checkpoint, SegRet
from segret_train.datasets import DataSet
from segret_train.train import parameter_groups, Recipe, Run, train_step, Views
import torch

RECIPE = Recipe(variant='nano', iterations=4, batch_size=2, crop=(32, 32), learning_rate=1e-3,
                weight_decay=0.01, warmup=2, seed=3)


def run(arguments: list[object]) -> subprocess.CompletedProcess:
    """Run `segret_train` on 32 x 32 crops."""
    command = [sys.executable, '-m', 'segret_train.train', '--iterations', 2, '--batch-size', 2,
               '--crop', 32, 32, *arguments]
    return subprocess.run(list(map(str, command)), capture_output=True, text=True,
                          cwd=Path(__file__).parents[2])


def last_line(ran: subprocess.CompletedProcess) -> str:
    """Give the last line of standard error; there must be no traceback."""
    assert 'Traceback' not in ran.stderr
    return ran.stderr.strip().splitlines()[-1]


def test_a_resumed_run_is_an_uninterrupted_one(camvid: DataSet, tmp_path: Path) -> None:
    Run(RECIPE, camvid, tmp_path / 'whole').train(2)

    log = tmp_path / 'resumed' / 'log.jsonl'
    log.mkdir(parents=True)  # so that the run fails right after its first save
    with pytest.raises(IsADirectoryError):
        Run(RECIPE, camvid, tmp_path / 'resumed').train(2)
    assert torch.load(tmp_path / 'resumed' / 'last.pt')['iteration'] == 2
    log.rmdir()
    Run(RECIPE, camvid, tmp_path / 'resumed').train(2)

    whole, resumed = (torch.load(tmp_path / name / 'last.pt') for name in ('whole', 'resumed'))
    assert whole['iteration'] == resumed['iteration'] == 4
    assert whole['best_miou'] == resumed['best_miou']
    for key, value in whole['network'].items():
        assert torch.equal(value, resumed['network'][key]), key
    for number, moments in whole['optimizer']['state'].items():
        for name, value in moments.items():
            assert torch.equal(value, resumed['optimizer']['state'][number][name]), (number, name)

    records = [json.loads(line) for line in (tmp_path / 'whole' / 'log.jsonl').open()]
    assert [record['iteration'] for record in records] == [2, 4]
    assert all(record['loss'] > 0 for record in records)


def test_a_run_stopped_between_validations_is_an_uninterrupted_one(camvid: DataSet,
                                                                   tmp_path: Path) -> None:
    Run(RECIPE, camvid, tmp_path / 'whole').train(4)
    stopped = Run(RECIPE, camvid, tmp_path / 'stopped')
    assert stopped.train(4, lambda: stopped.iteration == 3) == -1
    resumed = Run(RECIPE, camvid, tmp_path / 'stopped')
    assert resumed.iteration == 3
    resumed.train(4)
    whole, resumed = (torch.load(tmp_path / name / 'last.pt') for name in ('whole', 'stopped'))
    for key, value in whole['network'].items():
        assert torch.equal(value, resumed['network'][key]), key


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_and_saves(camvid_tree: Path, tmp_path: Path, number: int) -> None:
    command = [sys.executable, '-m', 'segret_train.train', '--batch-size', '2', '--crop', '32',
               '32', '--data', str(camvid_tree), '--output', str(tmp_path / 'run'),
               '--validate-every', '2']
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                               cwd=Path(__file__).parents[2])
    try:
        end = time.monotonic() + 60
        while not (tmp_path / 'run' / 'last.pt').exists():
            assert process.poll() is None and time.monotonic() < end
            time.sleep(0.05)
        process.send_signal(number)
        printed, errors = process.communicate(timeout=30)
    finally:
        process.kill()
    assert process.returncode == 130
    assert 'Traceback' not in errors
    step = int(printed.split('saved after step ')[1].split()[0])
    assert torch.load(tmp_path / 'run' / 'last.pt')['iteration'] == step


def test_the_best_checkpoint_tells_how_it_was_made(camvid: DataSet, tmp_path: Path) -> None:
    best = Run(RECIPE, camvid, tmp_path).train(4)
    network = load_checkpoint(tmp_path / 'best.safetensors')
    labels = load_label_set('camvid')
    assert network.class_names == list(labels.names)
    assert network.palette == [list(color) for color in labels.colors]
    assert network.training_record['val_miou'] == best > 0
    assert network.training_record['recipe']['learning_rate'] == 1e-3
    assert list(network.training_record['val_iou']) == list(labels.names)


def test_a_finished_run_is_not_repeated(camvid: DataSet, tmp_path: Path) -> None:
    best = Run(RECIPE, camvid, tmp_path).train(4)
    before = (tmp_path / 'last.pt').read_bytes()
    assert Run(RECIPE, camvid, tmp_path).train(4) == best
    assert (tmp_path / 'last.pt').read_bytes() == before


def test_another_recipe_does_not_resume(camvid: DataSet, tmp_path: Path) -> None:
    Run(replace(RECIPE, iterations=1), camvid, tmp_path).train(1)
    with pytest.raises(ValueError, match='made with iterations 1, not 4; seed 3, not 4: give'):
        Run(replace(RECIPE, seed=4), camvid, tmp_path).train(1)


def test_views_are_functions_of_their_number(camvid: DataSet) -> None:
    views = Views(camvid.samples('train'), RECIPE)
    assert len(views) == 8
    for number in (0, 5):
        image, label = views[number]
        again, label_again = views[number]
        assert torch.equal(image, again) and torch.equal(label, label_again)
        assert (image.shape, image.dtype) == ((3, 32, 32), torch.float32)
        assert (label.shape, label.dtype) == ((32, 32), torch.int64)
    assert not torch.equal(views[0][0], views[8][0])  # the next epoch


def test_learning_rate_warms_up_and_falls_to_zero() -> None:
    recipe = replace(RECIPE, iterations=100, warmup=10)
    rates = [recipe.learning_rate_at(iteration) for iteration in range(100)]
    assert rates[0] == pytest.approx(1e-4)
    assert max(rates) == rates[9] == pytest.approx(1e-3 * 0.91 ** 0.9)
    assert rates[99] == pytest.approx(1e-3 * 0.01 ** 0.9)
    assert replace(recipe, warmup=0).learning_rate_at(0) == 1e-3


def test_norms_and_biases_do_not_decay() -> None:
    network = SegRet('nano', num_classes=3)
    decaying, staying = parameter_groups(network, 0.01)
    assert (decaying['weight_decay'], staying['weight_decay']) == (0.01, 0)
    assert {id(network.decoder.fuse.weight)} <= set(map(id, decaying['params']))
    assert {id(network.decoder.fuse_norm.weight), id(network.decoder.classify.bias)} <= set(
        map(id, staying['params']))
    assert len(decaying['params']) + len(staying['params']) == len(list(network.parameters()))


def test_a_step_follows_the_labels_and_ignores_255(camvid_tree: Path) -> None:
    torch.manual_seed(0)
    network = SegRet('nano', num_classes=3)
    recipe = replace(RECIPE, warmup=0, iterations=1000)
    optimizer = torch.optim.AdamW(parameter_groups(network, 0), lr=recipe.learning_rate)
    images = torch.randn(2, 3, 32, 32)
    targets = torch.full((2, 32, 32), 255)
    targets[:, :16] = 2
    losses = [train_step(network, optimizer, images, targets, recipe, iteration)
              for iteration in range(12)]
    assert losses[0] == pytest.approx(np.log(3), abs=0.1)
    assert losses[-1] < 0.6 * losses[0]
    with torch.inference_mode():
        assert (network.eval()(images).argmax(1) == 2).all()


def test_a_batch_without_labels_teaches_nothing() -> None:
    torch.manual_seed(0)
    network = SegRet('nano', num_classes=3)
    optimizer = torch.optim.AdamW(parameter_groups(network, 0), lr=1e-3)
    before = network.decoder.classify.weight.clone()
    targets = torch.full((2, 32, 32), 255)
    assert train_step(network, optimizer, torch.randn(2, 3, 32, 32), targets, RECIPE, 0) == 0
    torch.testing.assert_close(network.decoder.classify.weight, before, rtol=0, atol=0)


def test_a_damaged_state_is_named(camvid: DataSet, tmp_path: Path) -> None:
    (tmp_path / 'last.pt').write_bytes(b'cut')
    with pytest.raises(ValueError, match='last.pt: damaged; delete it'):
        Run(RECIPE, camvid, tmp_path).train(4)


def test_a_loss_that_is_no_number_stops_the_run(camvid_tree: Path, tmp_path: Path) -> None:
    ran = run(['--data', camvid_tree, '--output', tmp_path / 'run', '--learning-rate', 1e38])
    assert ran.returncode == 1
    assert last_line(ran).startswith('segret_train: the loss is ')
    assert 'lower --learning-rate (1e+38)' in last_line(ran)
    assert not (tmp_path / 'run' / 'best.safetensors').exists()


def test_a_wrong_data_folder_is_one_line(tmp_path: Path) -> None:
    ran = run(['--data', tmp_path / 'nowhere', '--output', tmp_path / 'run'])
    assert (ran.returncode, ran.stdout) == (1, '')
    assert len(ran.stderr.splitlines()) == 1
    assert f'segret_train: {tmp_path}/nowhere: no images/train/*.jpg' in ran.stderr


def test_the_command_trains(camvid_tree: Path, tmp_path: Path) -> None:
    ran = run(['--data', camvid_tree, '--output', tmp_path / 'run'])
    assert ran.returncode == 0, ran.stderr
    assert 'best val mIoU 0.' in ran.stdout
    assert load_checkpoint(tmp_path / 'run' / 'best.safetensors').num_classes == 11
