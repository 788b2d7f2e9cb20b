# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""A run resumes where it stopped, and saves the best network."""

from dataclasses import replace
import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from segret_ros.files.output_folder import LIST, OutputError
from segret_ros.labels.label_set import load_label_set
from segret_ros.network import load_checkpoint, save_checkpoint, SegRet
from segret_train.datasets import DataError, DataSet, open_data_set
from segret_train.recipe import Recipe
from segret_train.training.process_group import ProcessGroup
from segret_train.training.step import NonFiniteLoss
from segret_train.training.training_run import TrainingRun
import torch


def make_run(recipe: Recipe, data: DataSet, output: Path) -> TrainingRun:
    """Return a run on the CPU without worker processes."""
    return TrainingRun(recipe, data, output, ProcessGroup('cpu'), workers=0)


def assert_equal_states(one: Path, other: Path) -> None:
    """Compare network, moving average, moments and best validation of two runs."""
    first, second = (torch.load(folder / 'last.pt') for folder in (one, other))
    assert first['step'] == second['step']
    assert first['best'] == second['best']
    for part in ('network', 'average'):
        for key, value in first[part].items():
            assert torch.equal(value, second[part][key]), (part, key)
    for own, other in zip(first['optimizer']['optimizers'], second['optimizer']['optimizers'],
                          strict=True):
        assert own['state'].keys() == other['state'].keys()
        for number, moments in own['state'].items():
            for name, value in moments.items():
                assert torch.equal(value, other['state'][number][name]), (number, name)


@pytest.mark.parametrize('workers', [0, 1])
def test_a_corrupt_image_is_one_line(camvid: DataSet, tmp_path: Path, recipe: Recipe,
                                     workers: int) -> None:
    for path in camvid.root.glob('images/train/*.jpg'):
        path.write_bytes(path.read_bytes()[:-100])
    run = TrainingRun(recipe, camvid, tmp_path / 'run', ProcessGroup('cpu'), workers)
    with pytest.raises(DataError, match='^/.*.jpg: not a readable image: [^\n]*truncated[^\n]*$'):
        run.train()


@pytest.mark.parametrize(('accumulate', 'muon_rate'), [(1, 0.0), (2, 4.0)])
def test_a_stopped_run_ends_as_an_uninterrupted_one(
        camvid: DataSet, tmp_path: Path, recipe: Recipe, accumulate: int,
        muon_rate: float) -> None:
    recipe = replace(recipe, accumulate=accumulate, muon_rate=muon_rate)
    make_run(recipe, camvid, tmp_path / 'whole').train()
    for step in (1, 3):
        stopped = make_run(recipe, camvid, tmp_path / 'stopped')
        stopped.train(lambda: stopped.step == step)
        assert torch.load(tmp_path / 'stopped' / 'last.pt')['step'] == step
    make_run(recipe, camvid, tmp_path / 'stopped').train()
    assert_equal_states(tmp_path / 'whole', tmp_path / 'stopped')

    records = [json.loads(line) for line in (tmp_path / 'whole' / 'log.jsonl').open()]
    assert [record['step'] for record in records] == [2, 4]
    assert all(record['loss'] > 0 and record['images_per_second'] > 0 for record in records)
    assert any((tmp_path / 'whole' / 'tensorboard').iterdir())


def test_the_best_checkpoint_is_the_moving_average_and_records_how_it_was_made(
        camvid: DataSet, tmp_path: Path, recipe: Recipe) -> None:
    run = make_run(recipe, camvid, tmp_path / 'run')
    best = run.train()
    network = load_checkpoint(tmp_path / 'run' / 'best.safetensors')
    labels = load_label_set('camvid')
    assert network.class_names == list(labels.names)
    assert network.palette == [list(color) for color in labels.colors]
    record = network.training_record
    assert record['val_miou'] == best > 0
    assert record['recipe']['learning_rate'] == 1e-3
    assert record['data'] == 'CamVid train, 8 frames'
    assert 0 < len(record['val_iou']) <= 11
    if record['step'] == 4:
        kept = network.state_dict()
        for key, value in run.average.module.state_dict().items():
            assert torch.equal(value, kept[key]), key
        assert not torch.equal(run.network.decoder.fuse.weight, network.decoder.fuse.weight)


def test_a_finished_run_is_not_repeated(camvid: DataSet, tmp_path: Path, recipe: Recipe) -> None:
    best = make_run(recipe, camvid, tmp_path / 'run').train()
    before = (tmp_path / 'run' / 'last.pt').read_bytes()
    assert make_run(recipe, camvid, tmp_path / 'run').train() == best
    assert (tmp_path / 'run' / 'last.pt').read_bytes() == before


def test_another_recipe_does_not_resume(camvid: DataSet, tmp_path: Path, recipe: Recipe) -> None:
    make_run(replace(recipe, iterations=1), camvid, tmp_path / 'run').train()
    with pytest.raises(ValueError, match='made with iterations 1, not 4; seed 3, not 5: give'):
        make_run(replace(recipe, seed=5), camvid, tmp_path / 'run')


@pytest.mark.parametrize('content', [b'', b'cut', None])
def test_a_corrupt_state_is_named(camvid: DataSet, tmp_path: Path, recipe: Recipe,
                                  content: bytes | None) -> None:
    make_run(recipe, camvid, tmp_path / 'run')
    state = tmp_path / 'run' / 'last.pt'
    if content is None:
        torch.save({'step': 3}, state)
    else:
        state.write_bytes(content)
    with pytest.raises(ValueError, match='last.pt: corrupt; delete it'):
        make_run(recipe, camvid, tmp_path / 'run')


def test_what_a_killed_run_began_to_write_is_removed(camvid: DataSet, tmp_path: Path,
                                                     recipe: Recipe) -> None:
    make_run(recipe, camvid, tmp_path / 'run')
    (tmp_path / 'run' / '.last.pt.abc123').write_bytes(b'half')
    (tmp_path / 'run' / '.own.yaml').write_text('of the user')
    make_run(recipe, camvid, tmp_path / 'run')
    assert {path.name for path in (tmp_path / 'run').glob('.*')} == {LIST, '.own.yaml'}


def test_a_val_split_without_a_labelled_pixel_is_refused(camvid_tree: Path, tmp_path: Path,
                                                         recipe: Recipe) -> None:
    for path in (camvid_tree / 'labels' / 'val').iterdir():
        cv2.imwrite(str(path), np.full((40, 48), 11, np.uint8))
    data = open_data_set('camvid', camvid_tree)
    with pytest.raises(ValueError, match='val: none of its 2 frames has a labelled pixel'):
        make_run(recipe, data, tmp_path / 'run').train()


def test_a_loss_that_is_no_number_stops_and_keeps_its_batch(
        camvid: DataSet, tmp_path: Path, recipe: Recipe) -> None:
    run = make_run(recipe, camvid, tmp_path / 'run')
    with torch.no_grad():
        run.network.decoder.classify.bias[3] = float('nan')
    before = run.network.decoder.fuse.weight.clone()
    path = tmp_path / 'run' / 'bad_batch_0.pt'
    with pytest.raises(NonFiniteLoss, match=f'loss is nan at step 0, whose crops are in {path}: '
                                            r'.*lower --learning-rate \(0.001\)'):
        run.train()
    batch = torch.load(path)
    assert (batch['step'], batch['images'].shape, batch['targets'].shape) == (
        0, (2, 32, 32, 3), (2, 32, 32))
    assert torch.equal(batch['images'][1], run.crops[1][0])
    assert torch.equal(run.network.decoder.fuse.weight, before)


def test_training_starts_with_a_given_backbone(camvid: DataSet, tmp_path: Path,
                                               recipe: Recipe) -> None:
    torch.manual_seed(9)
    network = SegRet('nano', num_classes=2)
    path = tmp_path / 'given.safetensors'
    save_checkpoint(network, path, ['a', 'b'], [[0, 0, 0], [1, 1, 1]], {})
    run = make_run(replace(recipe, backbone=str(path)), camvid, tmp_path / 'run')
    for key, value in network.backbone.state_dict().items():
        assert torch.equal(run.network.backbone.state_dict()[key], value), key
    assert run.network.num_classes == 11


def test_a_recipe_sets_dropout_and_stochastic_depth(camvid: DataSet, tmp_path: Path,
                                                    recipe: Recipe) -> None:
    recipe = replace(recipe, dropout=0.25, drop_path=0.33)
    network = make_run(recipe, camvid, tmp_path / 'run').network
    chances = [block.drop_path for stage in network.backbone.stages for block in stage.blocks]
    assert chances == pytest.approx([0, 0.11, 0.22, 0.33])
    assert network.decoder.dropout.p == 0.25


@pytest.mark.parametrize('place', ['camvid', '.', 'camvid/run', 'weights', 'mine'])
def test_a_run_begins_in_a_new_empty_or_its_own_folder(camvid: DataSet, tmp_path: Path,
                                                       recipe: Recipe, place: str) -> None:
    (tmp_path / 'weights').mkdir()
    labels = load_label_set('camvid')
    save_checkpoint(SegRet('nano', 11), tmp_path / 'weights' / 'teacher.safetensors',
                    list(labels.names), [list(color) for color in labels.colors], {})
    (tmp_path / 'mine').mkdir()
    (tmp_path / 'mine' / 'recipe.yaml').write_text('mine')
    before = {path: path.read_bytes() for path in tmp_path.rglob('*') if path.is_file()}
    recipe = replace(recipe, teacher=str(tmp_path / 'weights' / 'teacher.safetensors'))
    with pytest.raises(OutputError, match=place):
        make_run(recipe, camvid, tmp_path / place)
    assert before == {path: path.read_bytes() for path in tmp_path.rglob('*') if path.is_file()}


def test_a_run_goes_on_beside_files_of_the_users(camvid: DataSet, tmp_path: Path,
                                                 recipe: Recipe) -> None:
    stopped = make_run(recipe, camvid, tmp_path / 'run')
    stopped.train(lambda: stopped.step == 1)
    (tmp_path / 'run' / 'mine.onnx').write_text('mine')
    (tmp_path / 'run' / LIST).unlink()  # as versions without one left it
    assert make_run(recipe, camvid, tmp_path / 'run').step == 1
    assert (tmp_path / 'run' / 'mine.onnx').read_text() == 'mine'


def test_a_held_out_drive_is_validated_on(camvid_tree: Path, tmp_path: Path,
                                          recipe: Recipe) -> None:
    data = open_data_set('camvid', camvid_tree, '0[01]')
    make_run(recipe, data, tmp_path / 'run').train()
    record = load_checkpoint(tmp_path / 'run' / 'best.safetensors').training_record
    assert record['data'] == 'CamVid train without 0[01], 6 frames'
    assert record['val_data'] == 'CamVid train of 0[01], 2 frames, single scale'
