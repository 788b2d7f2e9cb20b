# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Label sets: those that are shipped, and invalid ones."""

from pathlib import Path

import numpy as np
import pytest
from segret_ros.labels.label_set import LabelSet, LabelSetError, load_label_set


@pytest.mark.parametrize(('name', 'classes', 'first', 'last'), [
    ('camvid', 11, 'sky', 'bicyclist'),
    ('cityscapes', 19, 'road', 'bicycle'),
    ('ade20k', 150, 'wall', 'flag'),
    ('coco_stuff', 171, 'person', 'wood'),
    ('mapillary_vistas', 65, 'bird', 'ego vehicle'),
])
def test_shipped_label_sets(name: str, classes: int, first: str, last: str) -> None:
    labels = load_label_set(name)
    assert len(labels) == len(labels.names) == len(labels.colors) == classes
    assert (labels.names[0], labels.names[-1]) == (first, last)


def test_colours_are_those_of_the_data_sets() -> None:
    cityscapes = load_label_set('cityscapes')
    assert cityscapes.colors[0] == (128, 64, 128)
    assert cityscapes.colors[cityscapes.names.index('car')] == (0, 0, 142)
    assert load_label_set('ade20k').colors[:2] == ((120, 120, 120), (180, 120, 120))
    assert load_label_set('camvid').colors[3] == (128, 64, 128)


def test_a_file_of_ones_own(tmp_path: Path) -> None:
    path = tmp_path / 'own.yaml'
    path.write_text('classes:\n- {name: "1", color: [1, 2, 3]}\n- {name: b, color: [4, 5, 6]}\n')
    assert load_label_set(path) == LabelSet(('1', 'b'), ((1, 2, 3), (4, 5, 6)))


def test_colour_table_is_black_beyond_the_classes() -> None:
    table = LabelSet(('a', 'b'), ((1, 2, 3), (4, 5, 6))).color_table()
    assert table.dtype == np.uint8
    np.testing.assert_array_equal(table[:3], [[1, 2, 3], [4, 5, 6], [0, 0, 0]])
    assert table.shape == (256, 3)
    assert not table[2:].any()


@pytest.mark.parametrize(('names', 'colors', 'value'), [
    ((), (), '0 class names'),
    (('a', 'b'), ((1, 2, 3),), '2 class names and 1 colours'),
    (('a', 'b', 'a'), ((1, 2, 3),) * 3, 'twice: a'),
    (tuple(map(str, range(256))), ((1, 2, 3),) * 256, '256 classes'),
    (('a',), ((1, 2),), r"\(1, 2\) of 'a'"),
    (('a',), ((1, 2, 256),), '256'),
    (('a',), ((1, 2, -1),), '-1'),
    (('a',), ((1, 2, 0.5),), '0.5'),
])
def test_what_is_no_label_set_is_refused(names: tuple, colors: tuple, value: str) -> None:
    with pytest.raises(LabelSetError, match=value):
        LabelSet(names, colors)


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(LabelSetError,
                       match='no label set kitti: name one of ade20k, camvid, cityscapes'):
        load_label_set('kitti')


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(LabelSetError, match=f'{tmp_path}/no.yaml'):
        load_label_set(tmp_path / 'no.yaml')


@pytest.mark.parametrize('text', [
    '', '[1, 2]', 'names: [road]', 'classes: 3', 'classes: [road]', 'classes: [{name: road}]',
    'classes: [{name: road, color: 7}]', 'classes: [{name: road, color: red}]', 'classes: [',
])
def test_a_malformed_file_is_named(text: str, tmp_path: Path) -> None:
    path = tmp_path / 'wrong.yaml'
    path.write_text(text)
    with pytest.raises(LabelSetError) as caught:
        load_label_set(path)
    assert str(path) in str(caught.value)
    assert '\n' not in str(caught.value)
