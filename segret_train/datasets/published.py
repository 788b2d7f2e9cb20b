# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Published data sets, each in the layout of its publisher (or of mmsegmentation)."""

from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from segret_ros.labels.label_set import load_label_set
from segret_train.datasets.dataset import DataError, DataSet
from segret_train.datasets.ids import consecutive, IdTable, IGNORE
from segret_train.datasets.layout import Layout
from segret_train.datasets.own import read_own

# Ids of the evaluated ones among Cityscapes' 34 classes, in the order of their train ids.
CITYSCAPES_IDS = (7, 8, 11, 12, 13, 17, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 31, 32, 33)
# Eleven of COCO's 182 ids, counted from 0, were never assigned to a class.
COCO_GAPS = (11, 25, 28, 29, 44, 65, 67, 68, 70, 82, 90)
COCO_IDS = [number for number in range(182) if number not in COCO_GAPS]


class Published(NamedTuple):
    """
    A published data set.

    :param label_set: name of its label set in this package.
    """

    name: str
    label_set: str
    layout: Layout
    ids: IdTable


PUBLISHED = {
    # Brostow, Fauqueur, Cipolla, Pattern Recognition Letters 2009; the split of SegNet.
    'camvid': Published(
        'CamVid', 'camvid',
        Layout('images/{split}/{name}.jpg', 'labels/{split}/{name}.png'),
        consecutive(11, ignored=[11])),
    'cityscapes': Published(
        'Cityscapes', 'cityscapes',
        Layout('leftImg8bit/{split}/{name}_leftImg8bit.png',
               'gtFine/{split}/{name}_gtFine_labelIds.png',
               example='aachen/aachen_000000_000019'),
        IdTable({**dict.fromkeys(range(34), IGNORE),
                 **{number: class_id for class_id, number in enumerate(CITYSCAPES_IDS)}})),
    'ade20k': Published(  # ADEChallengeData2016, where 0 is no class
        'ADE20K', 'ade20k',
        Layout('images/{split}/{name}.jpg', 'annotations/{split}/{name}.png',
               {'train': 'training', 'val': 'validation'}, 'ADE_train_00000001'),
        consecutive(150, ignored=[0], first=1)),
    'coco_stuff_10k': Published(  # as mmsegmentation converts it: 0 is unlabelled
        'COCO-Stuff 10K', 'coco_stuff',
        Layout('images/{split}/{name}.jpg', 'annotations/{split}/{name}_labelTrainIds.png',
               {'train': 'train2014', 'val': 'test2014'}, 'COCO_train2014_000000000077'),
        consecutive(171, ignored=[0], first=1)),
    'coco_stuff_164k': Published(  # the publisher's own pixel maps (stuffthingmaps)
        'COCO-Stuff 164K', 'coco_stuff',
        Layout('images/{split}/{name}.jpg', 'annotations/{split}/{name}.png',
               {'train': 'train2017', 'val': 'val2017'}, '000000000009',
               beside='_labelTrainIds'),
        IdTable({IGNORE: IGNORE,
                 **{number: class_id for class_id, number in enumerate(COCO_IDS)}})),
    'coco_stuff_164k_train_ids': Published(  # as mmsegmentation converts it
        'COCO-Stuff 164K', 'coco_stuff',
        Layout('images/{split}/{name}.jpg', 'annotations/{split}/{name}_labelTrainIds.png',
               {'train': 'train2017', 'val': 'val2017'}, '000000000009'),
        consecutive(171, ignored=[IGNORE])),
    'mapillary_vistas': Published(  # version 1.2; id 65, Unlabeled, is not evaluated
        'Mapillary Vistas', 'mapillary_vistas',
        Layout('{split}/images/{name}.jpg', '{split}/v1.2/labels/{name}.png',
               {'train': 'training', 'val': 'validation'}),
        consecutive(65, ignored=[65])),
}

NAMES_HELP = f'{", ".join(PUBLISHED)}, or a YAML file of your own (docs/your_own_data.md)'
HOLD_OUT_HELP = ("take the images of train whose names match, such as '0001TP*', for val, and "
                 'only the others for train')


def open_data_set(name_or_yaml: str, root: str | Path, held_out: str | None = None) -> DataSet:
    """
    Open a data set.

    :param name_or_yaml: `camvid`, `cityscapes` or another name in `PUBLISHED`, or the path of a
        YAML file that describes your own data (`docs/your_own_data.md`).
    :param root: its folder.
    :param held_out: see `DataSet`.
    :raises DataError: for an unknown name, or a malformed file.
    """
    return replace(_open(name_or_yaml, Path(root)), held_out=held_out)


def _open(name_or_yaml: str, root: Path) -> DataSet:
    if Path(name_or_yaml).suffix in ('.yaml', '.yml'):
        return read_own(Path(name_or_yaml), root)
    if name_or_yaml not in PUBLISHED:
        raise DataError(f'no data set {name_or_yaml}: name one of {", ".join(PUBLISHED)}, or the '
                        "YAML file of your own data's classes")
    published = PUBLISHED[name_or_yaml]
    return DataSet(published.name, load_label_set(published.label_set), root,
                   published.layout, published.ids)
