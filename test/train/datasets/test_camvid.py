# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""CamVid on a small tree, and bad samples."""

import os
from pathlib import Path

import cv2
import numpy as np
from PIL import Image
import pytest
from segret_train.datasets import DataError, DataSet, open_data_set


def test_frames_come_in_order_with_their_labels(camvid: DataSet) -> None:
    assert (camvid.name, len(camvid.labels)) == ('CamVid', 11)
    assert [sample.name for sample in camvid.samples('train')] == [
        f'{number:02}' for number in range(8)]
    assert len(camvid.samples('val')) == 2
    for sample in camvid.samples('val'):
        assert sample.image().shape == (40, 48, 3)
        assert sample.label().shape == (40, 48)
        assert sample.image().dtype == sample.label().dtype == np.uint8


def test_unlabelled_pixels_are_255_and_colours_are_rgb(camvid: DataSet) -> None:
    label = np.tile(np.arange(12, dtype=np.uint8), (40, 4))
    cv2.imwrite(str(camvid.root / 'labels/val/00.png'), label)
    red_bgr = np.full((40, 48, 3), (0, 0, 200), np.uint8)
    cv2.imwrite(str(camvid.root / 'images/val/00.jpg'), red_bgr)
    sample = camvid.samples('val')[0]
    assert sample.label()[0, :12].tolist() == [*range(11), 255]
    np.testing.assert_allclose(sample.image()[0, 0], [200, 0, 0], atol=4)


def test_a_data_set_that_is_not_known_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match='no data set mars: name one of .*camvid'):
        open_data_set('mars', tmp_path)


def test_a_missing_folder_is_named_with_the_layout(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=rf'{tmp_path}: no images/train/\*.jpg; CamVid is laid out '
                                        r'as images/\{train,val\}/NAME.jpg and labels'):
        open_data_set('camvid', tmp_path).samples('train')


def test_the_first_missing_label_is_named_and_the_others_counted(camvid: DataSet) -> None:
    for number in (3, 5, 6):
        (camvid.root / f'labels/train/{number:02}.png').unlink()
    with pytest.raises(DataError, match='labels/train/03.png: missing, as are 2 other labels; '
                                        'CamVid is laid out as images'):
        camvid.samples('train')


def test_every_ending_in_any_case_is_read(camvid: DataSet) -> None:
    images, labels = camvid.root / 'images/train', camvid.root / 'labels/train'
    (images / '00.jpg').rename(images / '00.JPG')
    (images / '01.jpg').rename(images / '01.jpeg')
    Image.open(images / '02.jpg').save(images / '02.png')
    (images / '02.jpg').unlink()
    (labels / '03.png').rename(labels / '03.PNG')
    assert [(sample.name, sample.image().shape, sample.label().shape)
            for sample in camvid.samples('train')] == [
        (f'{number:02}', (40, 48, 3), (40, 48)) for number in range(8)]


def test_labels_without_image_are_named(camvid: DataSet) -> None:
    for number in (1, 5):
        (camvid.root / f'images/train/{number:02}.jpg').unlink()
    with pytest.raises(DataError, match='^2 labels without an image: .*/labels/train/01.png, .*/'
                                        'labels/train/05.png; CamVid is laid out as images'):
        camvid.samples('train')


@pytest.mark.parametrize(('first', 'second'), [
    ('images/val/00.jpg', 'images/val/00.png'), ('images/val/00.JPG', 'images/val/00.jpg'),
    ('labels/val/01.png', 'labels/val/01.tif')])
def test_two_files_of_one_name_are_named(camvid: DataSet, first: str, second: str) -> None:
    for name in (first, second):
        (camvid.root / name).write_bytes(b'')
    with pytest.raises(DataError, match=f'{first} and .*/{second}: two files of one name; keep'):
        camvid.samples('val')


def test_a_name_that_is_no_text_can_be_printed(camvid: DataSet) -> None:
    for kind, ending in (('images', b'.jpg'), ('labels', b'.png')):
        folder = camvid.root / kind / 'val'
        next(folder.glob('00.*')).rename(folder / os.fsdecode(b'stra\xdfe' + ending))
    sample = camvid.samples('val')[1]
    assert sample.name == r'stra\xdfe'
    assert sample.image().shape[:2] == sample.label().shape


@pytest.mark.parametrize(('label', 'message'), [
    (np.full((40, 48), 12, np.uint8), r'contains id 12; labels have ids 0\.\.11'),
    (np.zeros((40, 48, 3), np.uint8), r'a label of colours.* of RGB, where one .*ids 0\.\.11'),
    (np.full((40, 48), 300, np.uint16), r'a label of too large ids: .*id 300.*ids 0\.\.11'),
    (np.zeros((40, 50), np.uint8), r'40 x 50, but its image .*images/val/01.jpg is 40 x 48'),
])
def test_a_label_of_another_kind_is_named(camvid: DataSet, label: np.ndarray,
                                          message: str) -> None:
    cv2.imwrite(str(camvid.root / 'labels/val/01.png'), label)
    with pytest.raises(DataError, match='labels/val/01.png: ' + message):
        camvid.samples('val')[1].label()


@pytest.mark.parametrize(('name', 'read'), [
    ('images/val/01.jpg', 'image'), ('images/val/01.jpg', 'label'),
    ('labels/val/01.png', 'label')])
def test_a_corrupt_picture_is_named(camvid: DataSet, name: str, read: str) -> None:
    whole = (camvid.root / name).read_bytes()
    for content in (b'not a picture', whole[:-100] if read == 'image' else b'cut'):
        (camvid.root / name).write_bytes(content)
        with pytest.raises(DataError, match=f'{name}: not a readable image'):
            getattr(camvid.samples('val')[1], read)()


def test_a_drive_can_be_held_out(camvid_tree: Path) -> None:
    data = open_data_set('camvid', camvid_tree, '0[3-5]')
    assert [sample.name for sample in data.samples('train')] == ['00', '01', '02', '06', '07']
    assert [sample.name for sample in data.samples('val')] == ['03', '04', '05']
    assert data.samples('val')[0].image_path == camvid_tree / 'images/train/03.jpg'
    assert (data.title('train'), data.title('val')) == (
        'CamVid train without 0[3-5]', 'CamVid train of 0[3-5]')


@pytest.mark.parametrize(('pattern', 'split', 'words'), [
    ('1*', 'val', 'no image of train is named 1'),
    ('0*', 'train', 'every image of train is named 0')])
def test_a_pattern_that_leaves_nothing_is_told(camvid_tree: Path, pattern: str, split: str,
                                               words: str) -> None:
    data = open_data_set('camvid', camvid_tree, pattern)
    with pytest.raises(DataError, match=f'{words}.*the first is named 00'):
        data.samples(split)
