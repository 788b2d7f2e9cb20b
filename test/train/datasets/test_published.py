# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Each published data set in its layout, and its ids worked out by hand."""

from pathlib import Path

import pytest
from segret_train.datasets import DataError, open_data_set, PUBLISHED
from trees import write_image, write_label

# Of each: an image and its label of train, then of val; the name of train's; what is in the label
# file and the class it is.
TREES = {
    'camvid': (
        ('images/train/0001TP_006690.jpg', 'labels/train/0001TP_006690.png',
         'images/val/0016E5_07959.jpg', 'labels/val/0016E5_07959.png'),
        '0001TP_006690', {0: 'sky', 3: 'road', 10: 'bicyclist', 11: None}, 12),
    'cityscapes': (
        ('leftImg8bit/train/aachen/aachen_000000_000019_leftImg8bit.png',
         'gtFine/train/aachen/aachen_000000_000019_gtFine_labelIds.png',
         'leftImg8bit/val/ulm/ulm_000007_000019_leftImg8bit.png',
         'gtFine/val/ulm/ulm_000007_000019_gtFine_labelIds.png'),
        'aachen/aachen_000000_000019',
        {0: None, 1: None, 6: None, 7: 'road', 8: 'sidewalk', 9: None, 11: 'building',
         12: 'wall', 13: 'fence', 17: 'pole', 18: None, 19: 'traffic light', 20: 'traffic sign',
         21: 'vegetation', 22: 'terrain', 23: 'sky', 24: 'person', 25: 'rider', 26: 'car',
         27: 'truck', 28: 'bus', 29: None, 30: None, 31: 'train', 32: 'motorcycle',
         33: 'bicycle'}, 34),
    'ade20k': (
        ('images/training/ADE_train_00000001.jpg', 'annotations/training/ADE_train_00000001.png',
         'images/validation/ADE_val_00000001.jpg', 'annotations/validation/ADE_val_00000001.png'),
        'ADE_train_00000001', {0: None, 1: 'wall', 2: 'building', 21: 'car', 150: 'flag'}, 151),
    'coco_stuff_10k': (
        ('images/train2014/COCO_train2014_000000000077.jpg',
         'annotations/train2014/COCO_train2014_000000000077_labelTrainIds.png',
         'images/test2014/COCO_train2014_000000000308.jpg',
         'annotations/test2014/COCO_train2014_000000000308_labelTrainIds.png'),
        'COCO_train2014_000000000077', {0: None, 1: 'person', 81: 'banner', 171: 'wood'}, 172),
    'coco_stuff_164k': (
        ('images/train2017/000000000009.jpg', 'annotations/train2017/000000000009.png',
         'images/val2017/000000000139.jpg', 'annotations/val2017/000000000139.png'),
        '000000000009',
        {0: 'person', 10: 'fire hydrant', 12: 'stop sign', 27: 'umbrella', 30: 'handbag',
         43: 'bottle', 66: 'dining table', 69: 'toilet', 71: 'tv', 89: 'toothbrush',
         91: 'banner', 105: 'clouds', 148: 'road', 168: 'tree', 181: 'wood', 255: None}, 90),
    'coco_stuff_164k_train_ids': (
        ('images/train2017/000000000009.jpg',
         'annotations/train2017/000000000009_labelTrainIds.png',
         'images/val2017/000000000139.jpg',
         'annotations/val2017/000000000139_labelTrainIds.png'),
        '000000000009', {0: 'person', 80: 'banner', 170: 'wood', 255: None}, 171),
    'mapillary_vistas': (
        ('training/images/__CRyFzoDOXn6unQ6a3DnQ.jpg',
         'training/v1.2/labels/__CRyFzoDOXn6unQ6a3DnQ.png',
         'validation/images/_1Gn_xkw7sa_i9GU4mkxxQ.jpg',
         'validation/v1.2/labels/_1Gn_xkw7sa_i9GU4mkxxQ.png'),
        '__CRyFzoDOXn6unQ6a3DnQ',
        {0: 'bird', 13: 'road', 55: 'car', 64: 'ego vehicle', 65: None}, 66),
}


@pytest.fixture(params=TREES)
def published(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Write a data set of one image a split; give its name."""
    (train_image, train_label, val_image, val_label), _, meanings, _ = TREES[request.param]
    for image, label in ((train_image, train_label), (val_image, val_label)):
        write_image(tmp_path / image)
        write_label(tmp_path / label, *meanings)
    return request.param


def test_every_data_set_is_tested() -> None:
    assert TREES.keys() == PUBLISHED.keys()


def test_ids_become_classes(published: str, tmp_path: Path) -> None:
    _, name, meanings, _ = TREES[published]
    data = open_data_set(published, tmp_path)
    train, = data.samples('train')
    val, = data.samples('val')
    assert (train.name, train.image().shape) == (name, (32, 48, 3))
    assert val.name != name
    names = [*data.labels.names, *[None] * (256 - len(data.labels))]
    assert [names[id_] for id_ in train.label()[0, :len(meanings)]] == list(meanings.values())
    assert (val.label() == train.label()).all()
    assert set(train.label().flat) <= {*range(len(data.labels)), 255}


def test_an_id_that_the_data_set_does_not_have_is_named(published: str, tmp_path: Path) -> None:
    label, foreign = tmp_path / TREES[published][0][3], TREES[published][3]
    write_label(label, 1, foreign, 2)
    sample, = open_data_set(published, tmp_path).samples('val')
    with pytest.raises(DataError, match=f'{label}: contains id {foreign}; labels have ids '):
        sample.label()


def test_a_wrong_folder_is_answered_with_the_layout(published: str, tmp_path: Path) -> None:
    folder = tmp_path / 'elsewhere'
    with pytest.raises(DataError) as caught:
        open_data_set(published, folder).samples('train')
    first = Path(TREES[published][0][0])
    assert str(caught.value).startswith(f'{folder}: no {first.parts[0]}/')


@pytest.mark.parametrize(('name', 'layout'), [
    ('cityscapes', 'leftImg8bit/{train,val}/aachen/aachen_000000_000019_leftImg8bit.png and '
                   'gtFine/{train,val}/aachen/aachen_000000_000019_gtFine_labelIds.png'),
    ('coco_stuff_10k',
     'images/{train2014,test2014}/COCO_train2014_000000000077.jpg and '
     'annotations/{train2014,test2014}/COCO_train2014_000000000077_labelTrainIds.png'),
    ('mapillary_vistas', '{training,validation}/images/NAME.jpg and '
                         '{training,validation}/v1.2/labels/NAME.png'),
])
def test_the_layout_is_explained_in_full(name: str, layout: str, tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        open_data_set(name, tmp_path).samples('val')
    assert str(caught.value).endswith(f' is laid out as {layout}')


def test_a_missing_label_is_answered_with_its_path(published: str, tmp_path: Path) -> None:
    label = tmp_path / TREES[published][0][1]
    label.unlink()
    with pytest.raises(DataError, match=f'{label}: missing; '):
        open_data_set(published, tmp_path).samples('train')


def test_converted_labels_may_lie_beside_the_publishers(tmp_path: Path) -> None:
    for paths, _, meanings, _ in (TREES['coco_stuff_164k'], TREES['coco_stuff_164k_train_ids']):
        write_image(tmp_path / paths[0])
        write_label(tmp_path / paths[1], *meanings)
    raw, = open_data_set('coco_stuff_164k', tmp_path).samples('train')
    converted, = open_data_set('coco_stuff_164k_train_ids', tmp_path).samples('train')
    assert raw.label()[0, 14] == converted.label()[0, 2] == 170
