# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Cameras are found by type, and topics that only look like one are left out."""

from pathlib import Path

import numpy as np
import pytest
from segret_ros.offline.bags import BagError, BagWriter, open_bag, serialize, TYPESTORE
from segret_ros.offline.bags.cameras import (
    bag_cameras,
    CAMERA_INFO,
    COMPRESSED_IMAGE,
    find_cameras,
    IMAGE,
    remarks,
)

Image, CompressedImage = TYPESTORE.types[IMAGE], TYPESTORE.types[COMPRESSED_IMAGE]
HEADER = TYPESTORE.types['std_msgs/msg/Header'](
    TYPESTORE.types['builtin_interfaces/msg/Time'](1, 2), 'camera')
OTHERS = {'/tf': 'tf2_msgs/msg/TFMessage', '/points': 'sensor_msgs/msg/PointCloud2'}


@pytest.mark.parametrize(('topic', 'type_name', 'info', 'name'), [
    ('/camera/image_raw', IMAGE, '/camera/camera_info', 'camera'),
    ('/camera/image_raw/compressed', COMPRESSED_IMAGE, '/camera/camera_info', 'camera'),
    ('/camera/color/image_raw', IMAGE, '/camera/color/camera_info', 'camera/color'),
    ('/CAM_FRONT/image_rect_compressed', COMPRESSED_IMAGE, '/CAM_FRONT/camera_info', 'CAM_FRONT'),
    ('/image', IMAGE, '/camera_info', ''),
    ('/image/compressed', COMPRESSED_IMAGE, '/camera_info', ''),
    ('/cam0', IMAGE, '/cam0/camera_info', 'cam0'),
    ('/robot/left/compressed', COMPRESSED_IMAGE, '/robot/camera_info', 'robot/left'),
])
def test_a_camera_is_found_by_its_type(topic: str, type_name: str, info: str, name: str) -> None:
    camera, = find_cameras({**OTHERS, topic: type_name, info: CAMERA_INFO}, [])
    assert (camera.topic, camera.type_name, camera.camera_info) == (topic, type_name, info)
    assert camera.name == name
    assert camera.is_compressed == (type_name == COMPRESSED_IMAGE)


def test_a_camera_needs_no_camera_info() -> None:
    camera, = find_cameras({'/camera/image_raw': IMAGE, '/camera/camera_info': OTHERS['/tf'],
                            '/other/camera_info': CAMERA_INFO}, [])
    assert camera.camera_info is None


def test_several_cameras_come_in_order_and_have_names_of_their_own() -> None:
    topics = {'/rear/image_raw': IMAGE, '/front/image_raw': IMAGE,
              '/top/image_rect': IMAGE, '/top/image_raw/compressed': COMPRESSED_IMAGE}
    assert [(camera.topic, camera.name) for camera in find_cameras(topics, [])] == [
        ('/front/image_raw', 'front'), ('/rear/image_raw', 'rear'),
        ('/top/image_raw/compressed', 'top/image_raw/compressed'),
        ('/top/image_rect', 'top/image_rect')]
    assert [camera.name for camera in find_cameras(topics, ['/top/image_rect', '/front/image_raw'])
            ] == ['top', 'front']


@pytest.mark.parametrize('topic', [
    '/camera/segmentation/label', '/camera/segmentation/confidence', '/segmentation/overlay',
    '/camera/label/compressed', '/camera/Labels', '/camera/aligned_depth_to_color/image_raw',
    '/camera/depth/image_rect_raw', '/camera/image_raw/compressedDepth', '/stereo/disparity',
])
def test_labels_and_depth_are_no_cameras_unless_named(topic: str) -> None:
    topics = {'/camera/image_raw': IMAGE, topic: COMPRESSED_IMAGE}
    assert [camera.topic for camera in find_cameras(topics, [])] == ['/camera/image_raw']
    assert [camera.topic for camera in find_cameras(topics, [topic])] == [topic]
    with pytest.raises(BagError, match=f'the bag has no camera: it has {topic} .*name the topic'):
        find_cameras({topic: IMAGE}, [])


def test_of_a_camera_recorded_twice_the_raw_images_are_taken() -> None:
    topics = {'/camera/image_raw': IMAGE, '/camera/image_raw/compressed': COMPRESSED_IMAGE}
    assert [camera.topic for camera in find_cameras(topics, [])] == ['/camera/image_raw']
    both = find_cameras(topics, ['/camera/image_raw/compressed', '/camera/image_raw'])
    assert [camera.name for camera in both] == ['camera/image_raw/compressed', 'camera/image_raw']


@pytest.mark.parametrize('base', ['/camera/image_raw', '/image', '/cam0', '/camera/image_rect'])
def test_other_transports_of_a_camera_are_no_cameras(base: str) -> None:
    others = {f'{base}/{name}': COMPRESSED_IMAGE for name in (
        'zstd', 'compressedDepth', 'h264', 'turbo')}
    others |= {f'{base}/theora': 'theora_image_transport/msg/Packet',
               f'{base}/ffmpeg': 'ffmpeg_image_transport_msgs/msg/FFMPEGPacket'}
    for images in ({base: IMAGE}, {f'{base}/compressed': COMPRESSED_IMAGE},
                   {base: IMAGE, f'{base}/compressed': COMPRESSED_IMAGE},
                   {base: IMAGE, f'{base}_compressed': COMPRESSED_IMAGE}):
        camera, = find_cameras({**images, **others}, [])
        assert camera.topic == next(iter(images))
    assert [camera.topic for camera in find_cameras(others, [f'{base}/zstd'])] == [f'{base}/zstd']
    with pytest.raises(BagError, match=f'no camera: .*{base}/theora'):
        find_cameras({name: kind for name, kind in others.items() if 'turbo' not in name}, [])


def test_images_that_are_left_out_are_reported_with_their_type(tmp_path: Path) -> None:
    string = TYPESTORE.types['std_msgs/msg/String']('')
    packed = CompressedImage(HEADER, 'zstd', np.zeros(8, np.uint8))
    with BagWriter(tmp_path / 'bag') as writer:
        writer.write(serialize('/c/image_raw', 1, Image(HEADER, 1, 1, 'mono8', 0, 1, np.zeros(
            1, np.uint8))))
        for topic, message in (('/c/image_raw/zstd', packed), ('/c/depth/zstd', packed),
                               ('/chatter', string)):
            writer.write(serialize(topic, 1, message))
    with open_bag(tmp_path / 'bag') as bag:
        bag.topics['/c/video'] = 'foxglove_msgs/msg/CompressedVideo'
        lines = remarks(bag, bag_cameras(bag, []))
    assert [line.split(' is left out: ')[0] for line in lines] == [
        f'/c/image_raw/zstd ({COMPRESSED_IMAGE})', '/c/video (foxglove_msgs/msg/CompressedVideo)']


def test_a_bag_without_images_lists_its_topics() -> None:
    with pytest.raises(BagError, match=r'no camera: it has /points \(sensor_msgs/msg/PointCloud2\)'
                                       r', /tf \(tf2_msgs/msg/TFMessage\)$'):
        find_cameras(OTHERS, [])
    with pytest.raises(BagError, match='no camera: it has no topics$'):
        find_cameras({}, [])


@pytest.mark.parametrize('wrong', ['/camera/image', '/tf', 'camera/image_raw'])
def test_a_wrong_name_lists_the_right_ones(wrong: str) -> None:
    with pytest.raises(BagError, match=f'no image topic {wrong}: it has /camera/image_raw '
                                       rf'\({IMAGE}\)$'):
        find_cameras({**OTHERS, '/camera/image_raw': IMAGE}, [wrong])
    with pytest.raises(BagError, match=f'no image topic {wrong}x: it has /points .*, /tf '):
        find_cameras(OTHERS, [f'{wrong}x'])


def test_a_depth_camera_is_recognised_by_its_messages(tmp_path: Path) -> None:
    encodings = {'/oak/rgb/image_raw': 'bgr8', '/oak/stereo/image_raw': '16UC1',
                 '/tof/image': '32FC1', '/infrared/image': 'mono16', '/grey/image': 'mono8'}
    with BagWriter(tmp_path / 'bag') as writer:
        for topic, encoding in encodings.items():
            writer.write(serialize(topic, 1, Image(HEADER, 1, 2, encoding, 0, 8, np.zeros(
                8, np.uint8))))
        writer.write(serialize('/packed/image/compressed', 1, CompressedImage(
            HEADER, '16UC1; png compressed ', np.zeros(8, np.uint8))))
    with open_bag(tmp_path / 'bag') as bag:
        assert [camera.name for camera in bag_cameras(bag, [])] == ['grey', 'oak/rgb']
        assert [camera.name for camera in bag_cameras(bag, ['/tof/image'])] == ['tof']


def test_a_bag_of_depth_alone_has_no_camera(tmp_path: Path) -> None:
    with BagWriter(tmp_path / 'bag') as writer:
        writer.write(serialize('/tof/image', 1, Image(HEADER, 1, 1, '32FC1', 0, 4, np.zeros(
            4, np.uint8))))
    with open_bag(tmp_path / 'bag') as bag, pytest.raises(
            BagError, match=r'no camera: it has /tof/image \(.*\), with depth or 16 bit grey'):
        bag_cameras(bag, [])
