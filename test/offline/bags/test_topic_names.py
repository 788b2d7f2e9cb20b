# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Topic names that ROS 2 does not allow are replaced by unique ones, and reported."""

from dataclasses import replace
from pathlib import Path

from bag_files import drive, mcap
from rclpy.validate_full_topic_name import validate_full_topic_name
from segret_ros.offline.bags import open_bag, read_bag
from segret_ros.offline.bags.bag import ros_names
from segret_ros.offline.bags.cameras import bag_cameras, remarks

ODD = ['/camera-front/image_raw', '/camera front/image_raw', '/camera.front/image_raw',
       '/kamera vöörn/image_raw', '//camera//image_raw', '/camera/image_raw/', '/2d/0/image_raw',
       'camera/image', '/', '', '/カメラ/image', '/~/{a}', '/' + 'long/' * 60, '/' + 'l' * 300,
       '/camera/image\nraw']


def test_each_illegal_name_is_replaced_by_a_unique_legal_one() -> None:
    legal = ['/camera_front/image_raw', '/camera/image_raw', '/a__b/_9']
    renamed = ros_names([*ODD, *legal])
    assert renamed.keys() == set(ODD)
    assert len({*renamed.values(), *legal}) == len(ODD) + len(legal)
    for name in renamed.values():
        validate_full_topic_name(f'{name}/segmentation/camera_info')
    assert renamed['/camera-front/image_raw'] == '/camera_front/image_raw_3'
    assert renamed['/kamera vöörn/image_raw'] == '/kamera_voorn/image_raw'
    assert renamed['/2d/0/image_raw'] == '/_2d/_0/image_raw'


def test_a_bag_is_read_by_either_name_and_reports_the_new_one(tmp_path: Path) -> None:
    odd = '/camera-front/image_raw/compressed'
    messages = [replace(drive()[0], topic=odd)]
    path = mcap(tmp_path / 'drive.mcap', 'zstd', messages).path
    with open_bag(path) as bag:
        assert bag.renamed == {odd: '/camera_front/image_raw/compressed'}
        camera, = bag_cameras(bag, [odd])
        assert (camera.topic, camera.name) == (bag.renamed[odd], 'camera_front')
        assert bag_cameras(bag, []) == bag_cameras(bag, [camera.topic]) == [camera]
        remark, = remarks(bag, [camera])
        assert remark.startswith(f'{odd!r} is shown as {camera.topic}: ROS 2 allows letters')
    for name in (odd, camera.topic):
        recorded, = read_bag(path, [name])
        assert (recorded.topic, recorded.data) == (camera.topic, drive()[0].data)
