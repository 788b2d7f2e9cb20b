# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Recipes: each cell of the paper's table, overriding, and errors for wrong values."""

from dataclasses import fields
from pathlib import Path

import pytest
from segret_train.options import OptionError, OptionParser
from segret_train.recipe import parse, Recipe

DATA_SETS = ('ade20k', 'cityscapes', 'coco_stuff_10k')
VARIANTS = ('tiny', 'small', 'base', 'large')
ROWS = {  # of the table in docs/training.md: a value for each data set and variant
    'iterations': [[160000] * 4, [160000] * 4, [80000] * 4],
    'crop': [[(512, 512)] * 3 + [(640, 640)], [(512, 1024)] * 4, [(512, 512)] * 4],
    'learning_rate': [[1e-4] * 4, [1e-4] * 4, [2e-4, 1e-4, 1e-4, 1e-4]],
    'weight_decay': [[1e-4, 0.01, 0.01, 0.01], [0.01] * 4, [1e-4, 0.01, 0.01, 0.01]],
    'poly_power': [[0.9] * 4, [0.9, 1.0, 1.0, 0.9], [0.9] * 4],
    'warmup': [[0, 1500, 0, 0], [0, 1500, 1500, 0], [1500, 0, 1500, 1500]],
    'batch_size': [[4] * 4, [2] * 4, [4, 8, 4, 4]],
    'no_decay': [['norms'] * 4, ['norms', 'nothing', 'nothing', 'norms'],
                 ['norms', 'norms', 'norms', 'nothing']],
    'backbone_norm_rate': [[0.1] * 4, [0.1, 1, 1, 0.1], [0.1, 0.1, 0.1, 1]],
    'short_side': [[512] * 3 + [640], [None] * 4, [512] * 4],
    'decoder_channels': [[None, None, 768, None], [None] * 4, [None] * 4],
    'validate_every': [[4000] * 4] * 3,
    'scale_range': [[(0.5, 2.0)] * 4] * 3,
}
OFF = {'ema': 0, 'label_smoothing': 0, 'class_balance': 0, 'rare_class_crops': 0,
       'teacher': None, 'backbone': None, 'low_light': 0, 'gamma': 0, 'white_balance': 0,
       'blur': 0, 'noise': 0, 'freeze_batch_norm': False, 'drop_path': None, 'dropout': 0.1}


def resolved(*arguments: str) -> Recipe:
    """Parse the recipe of a command line."""
    parser = OptionParser('segret_train', '')
    parser.add_argument('--data', type=Path)
    return parse(parser, arguments)[0]


@pytest.mark.parametrize('variant', VARIANTS)
@pytest.mark.parametrize('data_set', DATA_SETS)
def test_every_cell_of_the_papers_table(data_set: str, variant: str) -> None:
    recipe = resolved('--recipe', data_set, '--variant', variant)
    place = DATA_SETS.index(data_set), VARIANTS.index(variant)
    assert {name: getattr(recipe, name) for name in ROWS} == {
        name: values[place[0]][place[1]] for name, values in ROWS.items()}
    assert (recipe.dataset, recipe.variant) == (data_set, variant)
    assert {name: getattr(recipe, name) for name in OFF} == OFF


def test_camvids_recipe_is_the_one_without_arguments() -> None:
    recipe = resolved()
    assert recipe == resolved('--recipe', 'camvid')
    assert (recipe.dataset, recipe.variant, recipe.crop) == ('camvid', 'nano', (256, 320))
    assert (recipe.learning_rate, recipe.muon_rate, recipe.weight_decay) == (2e-3, 4.0, 0.01)
    assert 0 < recipe.class_balance < 0.5


def test_values_are_of_pythons_own_types() -> None:
    """Others would get into the saved state, which could then not be loaded."""
    recipe = resolved('--recipe', 'ade20k', '--variant', 'tiny', '--backbone_rate', '0.5')
    for field in fields(recipe):
        value = getattr(recipe, field.name)
        for part in value if isinstance(value, tuple) else [value]:
            assert type(part) in (bool, int, float, str, type(None)), field.name


def test_the_command_line_overrides_the_file() -> None:
    recipe = resolved('--recipe', 'cityscapes', '--variant=small', '--learning-rate', '3e-4',
                      '--crop=[64,96]', '--scale_range', '[1,2.5]')
    assert (recipe.learning_rate, recipe.crop, recipe.scale_range) == (3e-4, (64, 96), (1, 2.5))
    assert (recipe.warmup, recipe.poly_power) == (1500, 1.0)


def test_two_numbers_are_given_as_to_the_other_commands() -> None:
    recipe = resolved('--crop', '64', '96', '--scale-range', '1', '2.5', '--seed', '7')
    assert (recipe.crop, recipe.scale_range, recipe.seed) == ((64, 96), (1, 2.5), 7)


def test_the_help_shows_what_may_be_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match='0'):
        resolved('--help')
    text = ' '.join(capsys.readouterr().out.split())
    assert '[--dataset DATASET]' in text and '[--crop A B]' in text
    assert 'height and width of a crop. (default: 256 320)' in text


def test_a_saved_recipe_can_be_given_back(tmp_path: Path) -> None:
    recipe = resolved('--recipe', 'ade20k', '--variant', 'large', '--ema', '0.999', '--seed', '7')
    recipe.save(tmp_path / 'recipe.yaml')
    assert resolved('--recipe', str(tmp_path / 'recipe.yaml')) == recipe
    again = resolved('--recipe', str(tmp_path / 'recipe.yaml'), '--iterations', '5')
    assert (again.iterations, again.variant, again.ema) == (5, 'large', 0.999)


@pytest.mark.parametrize(('arguments', 'message'), [
    (['--recipe', 'kitti'], 'no recipe kitti: name one of ade20k, camvid, .*cityscapes, coco'),
    (['--iterations=-3'], '"iterations".*-3 does not conform to restriction v>0'),
    (['--variant', 'huge'], '"variant".*Got value: huge'),
    (['--crop', '12'], '"crop".*Got value: 12'),
    (['--crop', '12', '--seed', '7'], '"crop".*Got value: 12'),
    (['--crop', 'a', '7'], '"crop".*invalid.*a'),
    (['--ema', '1.5'], '"ema".*1.5'),
    (['--learning-speed', '1'], 'unrecognized arguments: --learning-speed'),
])
def test_a_wrong_value_is_named(arguments: list[str], message: str) -> None:
    with pytest.raises(OptionError, match=message) as raised:
        resolved(*arguments)
    assert '\n' not in str(raised.value)


@pytest.mark.parametrize(('content', 'message'), [
    ('dataset: camvid\niteration: 5\n', 'iteration: not a value of a recipe'),
    ('dataset: camvid\nwarmup: soon\n', '"warmup".*soon'),
    ('- 1\n', 'holds no `key: value`; write one value on each line'),
    ('dataset: off\n', "mine.yaml: line 1: .* quote it, dataset: 'off'"),
    ('variants: 3\n', 'variants holds the values of each network size'),
    ('variants: {tiny: 3}\n', 'variants holds'), ('variant: [1]\nvariants: {}\n', 'variant'),
    ('a: [', 'write one value on each line'),
])
def test_a_wrong_file_is_named(content: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / 'mine.yaml'
    path.write_text(content)
    with pytest.raises(OptionError, match=message):
        resolved('--recipe', str(path))
