# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""The check of a data set: frequencies by hand, and every kind of error."""

from collections.abc import Callable
import dataclasses
import os
from pathlib import Path
import shutil

import cv2
import numpy as np
import pytest
from segret_train import validate
from segret_train.datasets import DataError, DataSet, open_data_set
from segret_train.datasets.check import check_data, report
from trees import write_image, write_label

TWO = 'name: Yard\nclasses: [{name: ground}, {name: obstacle}, {name: never}]\n'


@pytest.fixture
def yard(tmp_path: Path) -> DataSet:
    """Write 6 images to train on and 1 to validate, 32 x 48: columns of 0, 1, 1, 255."""
    for name in (*(f'train/{number}' for number in range(6)), 'val/0'):
        write_image(tmp_path / f'images/{name}.jpg')
        write_label(tmp_path / f'labels/{name}.png', 0, 1, 1, 255)
    (tmp_path / 'yard.yaml').write_text(TWO)
    return open_data_set(str(tmp_path / 'yard.yaml'), tmp_path)


def test_frequencies(yard: DataSet) -> None:
    write_label(yard.root / 'labels/train/3.png', 0)
    checks = check_data(yard)
    assert (checks['train'].samples, checks['val'].samples) == (6, 1)
    column = 32 * 48 // 4
    assert checks['train'].pixels[[0, 1, 2, 255]].tolist() == [9 * column, 10 * column, 0,
                                                               5 * column]
    assert checks['train'].images[[0, 1, 2, 255]].tolist() == [6, 5, 0, 5]
    lines = [line.split() for line in report(yard, checks).splitlines()]
    assert lines[:7] == [
        ['Yard,', 'train:', '6', 'images'], ['share', 'pixels', 'images'],
        ['ground', '37.50%', '3,456', '6'], ['obstacle', '41.67%', '3,840', '5'],
        ['never', '0.00%', '0', '0'], ['no', 'class', '20.83%', '1,920', '5'], ['no', 'errors']]


def test_every_error_is_found_and_the_first_of_each_kind_named(yard: DataSet) -> None:
    root = yard.root
    whole = (root / 'images/train/0.jpg').read_bytes()
    (root / 'images/train/0.jpg').write_bytes(whole[:len(whole) // 2])  # its size can be read
    (root / 'images/train/1.jpg').write_bytes(b'none')
    (root / 'labels/train/2.png').write_bytes((root / 'labels/train/2.png').read_bytes()[:-40])
    write_image(root / 'images/train/3.jpg', (48, 32))
    write_label(root / 'labels/train/4.png', 0, 77)
    cv2.imwrite(str(root / 'labels/val/0.png'), np.zeros((32, 48, 3), np.uint8))
    checks = check_data(yard)
    assert [str(error).split(':')[0].removeprefix(f'{root}/') for error in
            checks['train'].errors] == ['images/train/0.jpg', 'images/train/1.jpg',
                                        'labels/train/2.png', 'labels/train/3.png',
                                        'labels/train/4.png']
    assert checks['train'].images[1] == 2  # of 0 and 5, whose labels are sound
    text = report(yard, checks)
    assert '3 x unreadable:' in text
    assert f'  {root}/labels/train/3.png: 32 x 48, but its image' in text
    assert '1 x label with foreign ids or in another format:' in text
    assert f'  {root}/labels/train/4.png: contains id 77; labels have ids 0..2, 255' in text
    assert 'no errors' not in text


def test_many_offenders_are_counted(yard: DataSet) -> None:
    for number in range(5):
        (yard.root / f'labels/train/{number}.png').write_bytes(b'')
    text = report(yard, check_data(yard))
    assert '5 x unreadable:' in text
    assert '/2.png: an empty' in text and '/3.png: an' not in text and 'and 2 more' in text


def test_a_missing_split_is_reported_and_a_missing_data_set_an_error(yard: DataSet,
                                                                     tmp_path: Path) -> None:
    (yard.root / 'images/val/0.jpg').unlink()
    checks = check_data(yard)
    assert 'no images/val/*.jpg; Yard is laid out as' in report(yard, checks)
    assert checks['train'].samples == 6
    with pytest.raises(DataError, match=r'nowhere: no images/train/\*.jpg'):
        check_data(open_data_set('camvid', tmp_path / 'nowhere'))


def test_what_is_left_out_is_counted_and_unpaired_files_do_not_hide_the_others(
        yard: DataSet) -> None:
    root = yard.root
    (root / 'images/train/._0.jpg').write_bytes(b'left by a Mac')
    (root / 'images/train/old.png').mkdir()
    (root / 'labels/train/notes.txt').write_text('')
    (root / 'images/train/3.jpg').unlink()
    (root / 'labels/train/4.png').unlink()
    checks = check_data(yard)
    assert checks['train'].samples == 4
    text = report(yard, checks)
    assert f'left out: 2 files that are neither images nor labels, such as {root}/images/' in text
    assert f'  {root}/labels/train/4.png: missing; ' in text
    assert f'  1 labels without an image: {root}/labels/train/3.png; Yard is laid out as' in text


def test_labels_of_another_data_set_are_doubted(yard: DataSet) -> None:
    camvid = open_data_set('camvid', yard.root)
    text = report(camvid, check_data(camvid))
    assert 'is this CamVid? 7 of 7 labels have other ids: name the data set' in text
    for path in yard.root.glob('labels/*/*.png'):
        write_label(path, 0, 1)
    text = report(camvid, check_data(camvid))
    assert text.count('no errors') == 2
    assert text.endswith('is this CamVid? 9 of its 11 classes never occur: name the data set, or '
                         'the YAML file of your own, with --dataset')
    assert 'is this' not in report(yard, check_data(yard))


def spoil(path: Path, other: Path, random: np.random.Generator) -> None:
    """Do to a file one of the things that happen to files."""
    content = bytearray(path.read_bytes())
    place, what = int(random.integers(len(content))), int(random.integers(8))
    path.unlink()
    if what < 3:
        content[place if what else place % 40] ^= 1 << int(random.integers(8))
        path.write_bytes(content)
    elif what == 3:
        path.write_bytes(content[:place])
    elif what == 4:
        path.write_bytes(other.read_bytes())
    elif what == 5:
        path.with_name(os.fsdecode(b'stra\xdfe\n') + path.suffix).write_bytes(content)
    elif what == 6:
        path.symlink_to(path.name)
    else:
        path.mkdir()


def test_each_error_is_one_line(yard: DataSet, tmp_path: Path) -> None:
    for number, ending in enumerate(('.png', '.tif', '.bmp', '.webp')):
        path = yard.root / f'images/train/{number}.jpg'
        cv2.imwrite(str(path.with_suffix(ending)), cv2.imread(str(path)))
        path.unlink()
    random = np.random.default_rng(0)
    for number in range(60):
        copy = tmp_path / 'copies' / str(number)
        for kind in ('images', 'labels'):
            shutil.copytree(yard.root / kind, copy / kind)
        files = sorted(path for path in copy.rglob('*.*') if path.is_file())
        spoil(*(files[place] for place in random.choice(len(files), 2, replace=False)), random)
        data = dataclasses.replace(yard, root=copy)
        for found in check_data(data).values():
            assert not any('\n' in str(error) for error in found.errors)


def test_the_command(yard: DataSet, tmp_path: Path, call: Callable) -> None:
    own = '--check-data', '--data', yard.root, '--dataset', yard.root / 'yard.yaml'
    code, output, _ = call(validate.main, *own)
    assert (code, output.count('no errors')) == (0, 2)
    write_label(yard.root / 'labels/val/0.png', 7)
    code, output, _ = call(validate.main, *own)
    assert code == 2 and 'contains id 7' in output
    code, _, error = call(validate.main, '--check-data', '--data', tmp_path / 'nowhere',
                          '--dataset', 'cityscapes')
    assert (code, len(error.splitlines())) == (1, 1)
    assert 'segret_validate: ' in error and 'leftImg8bit/{train,val}/' in error
