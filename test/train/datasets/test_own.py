# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""A custom data set and its YAML file: valid and invalid contents."""

from pathlib import Path

import numpy as np
from PIL import Image
import pytest
from segret_train.datasets import DataError, DataSet, open_data_set
from trees import SIZE, write_image, write_label

TWO = 'classes:\n- {name: ground, color: [1, 2, 3]}\n- {name: obstacle, color: [4, 5, 6]}\n'


def described(folder: Path, text: str) -> DataSet:
    """Open the data set of a YAML text in a folder."""
    path = folder / 'yard.yaml'
    path.write_text(text)
    return open_data_set(str(path), folder)


def test_two_classes(tmp_path: Path) -> None:
    write_image(tmp_path / 'images/train/b.jpg')
    write_image(tmp_path / 'images/train/a.jpg')
    write_label(tmp_path / 'labels/train/a.png', 0, 1, 255)
    write_label(tmp_path / 'labels/train/b.png', 1)
    data = described(tmp_path, TWO)
    assert (data.name, data.labels.names) == ('yard', ('ground', 'obstacle'))
    assert data.labels.colors == ((1, 2, 3), (4, 5, 6))
    assert [sample.name for sample in data.samples('train')] == ['a', 'b']
    assert data.samples('train')[0].label()[0, :3].tolist() == [0, 1, 255]
    with pytest.raises(DataError, match=f'{tmp_path}: no images/val/.*yard is laid out as images'):
        data.samples('val')


def test_colours_may_be_left_out(tmp_path: Path) -> None:
    data = described(tmp_path, 'classes:' + ''.join(f'\n- name: c{n}' for n in range(20)))
    assert len(set(data.labels.colors)) == 20


def test_classes_may_have_ids_and_the_folder_other_names(tmp_path: Path) -> None:
    write_image(tmp_path / 'train/rgb/one/7.png')
    write_label(tmp_path / 'train/mask/one/7_mask.png', 255, 0, 3, 9)
    data = described(tmp_path, '\n'.join((
        'name: Barn', 'images: "{split}/rgb/{name}.png"', 'labels: "{split}/mask/{name}_mask.png"',
        'ignored: [9]', 'classes:', '- {name: drivable, id: 255}', '- {name: other, id: [0, 3]}')))
    sample, = data.samples('train')
    assert (data.name, sample.name) == ('Barn', 'one/7')
    assert sample.label()[0, :4].tolist() == [0, 1, 1, 255]


@pytest.mark.parametrize(('images', 'labels'), [
    ('{split}/{name}.jpg', '{split}/{name}.png'), ('{split}/{name}.png', '{split}/{name}_ids.png'),
    ('{split}/{name}/rgb.png', '{split}/{name}/ids.png'),
    ('{split}/{name}.jpg', '{split}/masks/{name}.png')])
def test_images_and_labels_may_lie_in_one_folder(tmp_path: Path, images: str,
                                                 labels: str) -> None:
    for name in ('0', '1'):
        write_image(tmp_path / images.format(split='train', name=name))
        write_label(tmp_path / labels.format(split='train', name=name), 0, 1)
    write_image(tmp_path / 'train/0_overlay.bmp')
    data = described(tmp_path, f'{TWO}images: "{images}"\nlabels: "{labels}"\n')
    assert [sample.name for sample in data.samples('train')] == ['0', '1']
    assert data.samples('train')[1].label()[0, :2].tolist() == [0, 1]
    assert [path.name for path in data.split('train').left_out] == ['0_overlay.bmp']


def test_255_is_a_class_where_a_class_has_it(tmp_path: Path) -> None:
    write_image(tmp_path / 'images/val/a.jpg')
    write_label(tmp_path / 'labels/val/a.png', 255, 0)
    data = described(tmp_path, 'classes: [{name: other, id: 0}, {name: lawn, id: 255}]')
    assert data.samples('val')[0].label()[0, :2].tolist() == [1, 0]


def test_labels_of_colours(tmp_path: Path) -> None:
    write_image(tmp_path / 'images/val/a.jpg')
    label = np.full((*SIZE, 3), (4, 5, 6), np.uint8)
    label[:, 1], label[:, 2] = (1, 2, 3), (9, 9, 9)
    (tmp_path / 'labels/val').mkdir(parents=True)
    path = tmp_path / 'labels/val/a.png'
    Image.fromarray(label).save(path)
    data = described(tmp_path, f'{TWO}color_coded: true\nignored: [[9, 9, 9]]\n')
    assert data.samples('val')[0].label()[0, :4].tolist() == [1, 0, 255, 1]

    label[5, 7] = (255, 255, 255)
    Image.fromarray(label).save(path)
    with pytest.raises(DataError, match=rf'{path}: contains colour \[255, 255, 255\]; .*3 colour'):
        data.samples('val')[0].label()
    write_label(path, 0, 1)
    with pytest.raises(DataError, match=f'{path}: a label without colours: .* of L, where RGB'):
        data.samples('val')[0].label()


@pytest.mark.parametrize(('text', 'value'), [
    ('', 'no `key: value`'), ('[1]', 'no `key'), ('name: x', "'classes'"),
    ('classes: [', 'line 1'),
    ('classes: []', '0 class names'), ('classes: [ground]', "'str'"),
    ('classes: [{name: a, colour: [1, 2, 3]}]', "'colour' is not one of the keys name, color, id"),
    (TWO + 'class: 3', "'class' is not one of the keys name, source, classes"),
    ('classes: [{name: a, color: [1, 2, 300]}]', '300'),
    ('classes: [{name: a}, {name: a}]', 'twice: a'),
    ('classes: [{name: a, id: 1}, {name: b}]', '1 occurs twice'),
    (TWO + 'ignored: [1]', '1 occurs twice'), (TWO + 'ignored: 255', 'int'),
    ('classes: [{name: a, id: 256}]', 'id 256: .*0..255'),
    ('classes: [{name: a, id: one}]', "id 'one'"),
    (TWO + 'color_coded: true\nignored: [0]', 'int'),
    (TWO + 'color_coded: true\nignored: [[4, 5, 6]]', r'\(4, 5, 6\) occurs twice'),
    (TWO + 'images: "{split}/{name}/{name}.jpg"', 'once'), (TWO + 'labels: "{name}.png"', 'once'),
    (TWO + 'labels: 3', 'line 4: `labels: 3` .* quote it'),
    ('classes:\n- {name: off}', 'line 2: `name: off` is read as true or false: quote it'),
])
def test_a_malformed_file_is_one_line_that_names_it(tmp_path: Path, text: str,
                                                    value: str) -> None:
    with pytest.raises(DataError, match=f'{tmp_path}/yard.yaml: .*{value}') as caught:
        described(tmp_path, text)
    assert '\n' not in str(caught.value)
    assert 'write a list `classes` of {name: road' in str(caught.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=f'{tmp_path}/no.yaml: No such file'):
        open_data_set(str(tmp_path / 'no.yaml'), tmp_path)
