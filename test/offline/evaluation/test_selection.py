# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Frames selected from small tables, and real ones written and read back as a data set."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from recordings import CAMERA, images, sample_drive, true_labels
from segret_ros.labels.label_set import LabelSet, load_label_set
from segret_ros.offline.evaluation.selection import select, write_selection

Frames = list[tuple[str, np.ndarray, np.ndarray]]
USUAL = {'bag': 'drive', 'camera': '/front', 'problem': '', 'confidence': 0.9, 'unknown': 0.0,
         'stability': 0.98, 'flicker': 0.01, 'change': 0.0}
SECOND = 1_000_000_000
LABELS = LabelSet(('road', 'traffic sign', 'tree'), ((128, 64, 128), (220, 220, 0), (1, 2, 3)))


def table(*frames: dict) -> dict[str, np.ndarray]:
    """Return the columns of frames, one a second, usual but for what `frames` say."""
    rows = [{**USUAL, 'time_ns': number * SECOND, **frame} for number, frame in enumerate(frames)]
    types = {'bag': object, 'camera': object, 'problem': object, 'time_ns': np.int64}
    return {name: np.array([row[name] for row in rows], types.get(name, np.float32))
            for name in (*USUAL, 'time_ns')}


@pytest.mark.parametrize(('frames', 'count', 'chosen'), [
    ([{}, {}, {}, {'confidence': 0.8}, {}, {}], 1, [3]),
    ([{}, {}, {}, {'unknown': 0.1}, {}, {}], 1, [3]),
    ([{}, {}, {}, {'stability': 0.9}, {}, {}], 1, [3]),
    ([{}, {}, {}, {'change': 1.0}, {}, {}], 1, [3]),
    ([{'confidence': value} for value in (0.9, 0.5, 0.7, 0.6, 0.8)], 3, [1, 3, 2]),
    ([{'confidence': value} for value in (0.9, 0.5, 0.7, 0.6, 0.8)], 99, [1, 3, 2, 4, 0]),
    # Flicker counts for the frame before it, of the same camera and bag.
    ([{}, {'camera': '/rear'}, {'flicker': 0.3}, {'camera': '/rear'}], 1, [0]),
    ([{}, {'bag': 'other', 'flicker': 0.3}], 2, [0, 1]),
    ([{'stability': np.nan, 'flicker': np.nan}, {}], 2, [1, 0]),
    ([{}, {'problem': 'size changed', 'confidence': 0.1},
      {'problem': 'stamp out of order', 'confidence': 0.2}], 2, [1, 2]),
    ([{}] * 20, 3, [0, 2, 4]), ([], 5, []), ([{}, {}], 0, []), ([{'problem': 'black'}], 5, [])])
def test_the_most_doubtful_frames_come_first(frames: list[dict], count: int,
                                             chosen: list[int]) -> None:
    assert select(table(*frames), count) == chosen


def test_of_a_fault_of_one_frame_that_frame_is_taken() -> None:
    fault = {'stability': 0.7, 'change': 1.0, 'flicker': 0.01}
    columns = table({}, {}, fault, {**fault, 'flicker': 0.29}, {})
    columns['time_ns'] = columns['time_ns'] // 15
    assert select(columns, 1) == [2]


def test_no_two_frames_of_a_camera_are_within_a_second() -> None:
    columns = table(*({'confidence': 0.5 + number / 1000} for number in range(60)))
    columns['time_ns'] = columns['time_ns'] // 15
    assert select(columns, 99) == [0, 15, 30, 45]
    columns['time_ns'] = columns['time_ns'][::-1].copy()  # stamps out of order
    assert select(columns, 99) == [0, 15, 30, 45]


def test_cameras_and_bags_do_not_suppress_each_other() -> None:
    columns = table({}, {'camera': '/rear'}, {'bag': 'other'}, {})
    columns['time_ns'][:] = 7
    assert select(columns, 99) == [0, 1, 2]


def test_the_frames_are_spread_across_the_drive() -> None:
    frames = [{'confidence': 0.5 if number < 300 else 0.7} for number in range(3600)]
    chosen = select(table(*frames), 10)
    assert chosen[:4] == [0, 90, 180, 270]  # an even spread has one in 360 s
    assert len(chosen) == 10
    assert all(row >= 300 for row in chosen[4:])


def test_frames_come_closer_where_there_are_too_few() -> None:
    chosen = select(table(*[{'problem': 'black'}] * 600, *[{}] * 8), 8)
    assert chosen == list(range(600, 608))


@pytest.mark.parametrize('problem', ['rejected', 'black', 'frozen', 'overexposed', 'blurred'])
def test_useless_frames_are_left_out(problem: str) -> None:
    nothing = dict.fromkeys(('confidence', 'unknown', 'stability', 'flicker', 'change'), np.nan)
    columns = table({}, {'problem': problem, 'confidence': 0.1}, {'problem': problem, **nothing})
    assert select(columns, 99) == [0]


@pytest.fixture(scope='module')
def frames() -> Frames:
    """Return twelve frames of the sample drive with names, images and true labels."""
    labels = true_labels(sample_drive())
    return [(f'drive_{CAMERA}_{stamp}', image, labels[stamp])
            for stamp, image in list(images(sample_drive()).items())[::9]]


def tiny(*names: str) -> Frames:
    """Make frames of 3 x 5 pixels; the last rows of their labels are no classes."""
    label = np.repeat(np.array([[1], [255], [3]], np.uint8), 5, 1)
    return [(name, np.full((3, 5, 3), number, np.uint8), label)
            for number, name in enumerate(names)]


def files_of(folder: Path) -> set[str]:
    """List the paths of all files below a folder."""
    return {path.relative_to(folder).as_posix() for path in folder.rglob('*') if path.is_file()}


def test_the_folder_is_read_as_a_data_set(tmp_path: Path, frames: Frames) -> None:
    pytest.importorskip('torch', reason='needs what trains')
    from segret_train.datasets import open_data_set
    from segret_train.datasets.check import check_data
    labels = load_label_set('camvid')
    write_selection(tmp_path / 'select', iter(frames), labels)
    data = open_data_set(str(tmp_path / 'select' / 'classes.yaml'), tmp_path / 'select')
    samples = {split: data.samples(split) for split in ('train', 'val')}
    assert (data.name, data.labels) == ('select', labels)
    assert [len(samples[split]) for split in ('train', 'val')] == [9, 3]
    by_name = {sample.name: sample for split in samples.values() for sample in split}
    for name, image, label in frames:
        sample = by_name[f'drive_camera_image_raw_compressed_{name.rsplit("_", 1)[1]}']
        np.testing.assert_array_equal(sample.image(), image)
        np.testing.assert_array_equal(sample.label(), label)
    assert any((label == 255).any() for _, _, label in frames)
    assert not [error for found in check_data(data).values() for error in found.errors]


@pytest.mark.parametrize('name', ['cityscapes', 'ade20k', 'coco_stuff', 'mapillary_vistas'])
def test_every_class_of_any_palette_comes_back(tmp_path: Path, name: str) -> None:
    pytest.importorskip('torch', reason='needs what trains')
    from segret_train.datasets import open_data_set
    labels = load_label_set(name)
    label = np.array([[*range(len(labels)), 255]], np.uint8)
    image = np.zeros((*label.shape, 3), np.uint8)
    write_selection(tmp_path / 'select', [('a', image, label)], labels)
    data = open_data_set(str(tmp_path / 'select' / 'classes.yaml'), tmp_path / 'select')
    np.testing.assert_array_equal(data.samples('train')[0].label(), label)
    assert data.labels.names == labels.names
    changed = [number for number, color in enumerate(labels.colors)
               if color == (0, 0, 0) or color in labels.colors[:number]]
    assert changed == [number for number, color in enumerate(labels.colors)
                       if color != data.labels.colors[number]]


def test_the_folder_is_laid_out_for_the_label_tool(tmp_path: Path) -> None:
    folder = tmp_path / 'select'
    write_selection(folder, tiny('front_7', 'rear_7'), LABELS)
    assert files_of(tmp_path) == {f'select/{name}' for name in (
        'classes.yaml', 'labelmap.txt', 'labels.json', 'ImageSets/Segmentation/default.txt',
        *(f'{part}/{name}.png' for name in ('front_7_train', 'rear_7_val')
          for part in ('JPEGImages', 'SegmentationClass', 'SegmentationObject')))}
    assert (folder / 'ImageSets/Segmentation/default.txt').read_text() == (
        'front_7_train\nrear_7_val\n')
    assert (folder / 'labelmap.txt').read_text() == (
        '# label:color_rgb:parts:actions\nbackground:0,0,0::\nroad:128,64,128::\n'
        'traffic sign:220,220,0::\ntree:1,2,3::\n')
    assert json.loads((folder / 'labels.json').read_text())[1] == {
        'name': 'traffic sign', 'color': '#dcdc00', 'attributes': []}


def test_unknown_is_black_and_no_object(tmp_path: Path) -> None:
    write_selection(tmp_path / 'select', tiny('a'), LABELS)
    classes, objects = (cv2.imread(str(tmp_path / 'select' / part / 'a_train.png'),
                                   cv2.IMREAD_UNCHANGED)
                        for part in ('SegmentationClass', 'SegmentationObject'))
    assert classes[:, 0, ::-1].tolist() == [[220, 220, 0], [0, 0, 0], [0, 0, 0]]
    assert objects[:, 0].tolist() == [2, 0, 0]


def test_names_of_classes_fit_the_label_map(tmp_path: Path) -> None:
    labels = LabelSet(('background', '#1: a'), ((9, 9, 9), (8, 8, 8)))
    write_selection(tmp_path / 'select', tiny('a'), labels)
    assert (tmp_path / 'select' / 'labelmap.txt').read_text().splitlines()[1:] == [
        'background_:0,0,0::', 'background:9,9,9::', '_1_ a:8,8,8::']


def test_names_of_frames_are_safe_and_differ(tmp_path: Path) -> None:
    write_selection(tmp_path / 'select', tiny(
        '../up_/camera/image_1', 'up_camera_image_1', 'UP camera.image_1', '#ä_2',
        'x' * 300 + '_3', 'y' + 'x' * 300 + '_3'), LABELS)
    assert [path.name for path in tmp_path.iterdir()] == ['select']
    names = (tmp_path / 'select/ImageSets/Segmentation/default.txt').read_text().split()
    assert names[:4] == ['up_camera_image_1_train', 'up_camera_image_1_2_val',
                         'UP_camera_image_1_3_train', '2_train']
    assert {name.rsplit('_', 1)[0][-6:] for name in names[4:]} == {'xxxx_3', 'xx_3_2'}
    assert all(len(name) < 220 for name in names)
    for number, name in enumerate(names):
        image = cv2.imread(str(tmp_path / 'select' / 'JPEGImages' / f'{name}.png'))
        assert (image == number).all()
