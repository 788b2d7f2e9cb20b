# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Which topic images are received on: remapping and the transport, as image_transport has it."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2
from live_node import new_header, Peer, running_node, street
import pytest
import rclpy
from rclpy.node import Node
from segret_ros.node.image_topic import camera_info_topic, image_topic
from segret_ros.node.parameters import Parameters
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

RAW, JPEG = Image, CompressedImage


@contextmanager
def resolver(peer: Peer, rules: list[str], namespace: str = '') -> Iterator[Node]:
    """Yield a node with remapping rules."""
    node = rclpy.create_node('resolver', namespace=namespace, context=peer.node.context,
                             use_global_arguments=False, start_parameter_services=False,
                             cli_args=['--ros-args', *(word for rule in rules
                                                       for word in ('-r', rule))])
    try:
        yield node
    finally:
        node.destroy_node()


def resolve(peer: Peer, rules: list[str], cameras: list[str], transport: str,
            namespace: str = '') -> list[tuple[str, type]]:
    """Return name and type of each camera's images, on a node with remapping rules."""
    parameters = Parameters(cameras=cameras, image_transport=transport)
    with resolver(peer, rules, namespace) as node:
        topics = [image_topic(node, camera, parameters) for camera in cameras]
        for topic in topics:  # the name that is subscribed to is remapped to the full one
            subscription = node.create_subscription(topic.kind, topic.subscribed, print, 1)
            assert subscription.topic_name == topic.name
        return [(topic.name, topic.kind) for topic in topics]


@pytest.mark.parametrize('rules, transport, expected', [
    ([], 'raw', ('/image', RAW)),
    ([], 'compressed', ('/image/compressed', JPEG)),
    (['image:=/cam/image_raw'], 'raw', ('/cam/image_raw', RAW)),
    (['image:=/cam/image_raw'], 'compressed', ('/cam/image_raw/compressed', JPEG)),
    (['image/compressed:=/jpeg'], 'compressed', ('/jpeg', JPEG)),
    (['image:=/cam/image_raw', 'image/compressed:=/jpeg'], 'compressed', ('/jpeg', JPEG)),
    (['image:=/cam/image_raw', 'image/compressed:=/jpeg'], 'raw', ('/cam/image_raw', RAW)),
    (['image:=/cam/image_raw', '/cam/image_raw/compressed:=/jpeg'], 'compressed',
     ('/jpeg', JPEG)),
    (['image:=/cam/image_raw/compressed'], 'compressed', ('/cam/image_raw/compressed', JPEG)),
    (['image:=/cam/image_raw/compressed'], 'raw', ('/cam/image_raw/compressed', JPEG))])
def test_the_topic_of_one_camera(peer: Peer, rules: list[str], transport: str,
                                 expected: tuple[str, type]) -> None:
    assert resolve(peer, rules, [''], transport) == [expected]


@pytest.mark.parametrize('rule', ['front/image:=/cam/image_raw', 'image:=/cam/image_raw'])
@pytest.mark.parametrize('transport, expected', [
    ('raw', ('/cam/image_raw', RAW)), ('compressed', ('/cam/image_raw/compressed', JPEG))])
def test_the_topic_of_the_only_camera_with_a_name(peer: Peer, rule: str, transport: str,
                                                  expected: tuple[str, type]) -> None:
    assert resolve(peer, [rule], ['front'], transport) == [expected]


def test_a_rule_for_the_camera_goes_before_one_without_its_name(peer: Peer) -> None:
    rules = ['image:=/a', 'front/image:=/b']
    assert resolve(peer, rules, ['front'], 'raw') == [('/b', RAW)]
    assert resolve(peer, ['image/compressed:=/jpeg'], ['front'], 'compressed') == [('/jpeg', JPEG)]


def test_the_topics_of_several_cameras(peer: Peer) -> None:
    rules = ['image:=/nobodys', 'front/image:=/f/image_raw', 'roof/image:=/r/jpg/compressed']
    cameras = ['front', 'rear', 'roof']
    assert resolve(peer, rules, cameras, 'raw') == [
        ('/f/image_raw', RAW), ('/rear/image', RAW), ('/r/jpg/compressed', JPEG)]
    assert resolve(peer, rules, cameras, 'compressed') == [
        ('/f/image_raw/compressed', JPEG), ('/rear/image/compressed', JPEG),
        ('/r/jpg/compressed', JPEG)]


@pytest.mark.parametrize('rules, transport, expected', [
    (['image:=image_raw'], 'compressed', '/car/image_raw/compressed'),
    (['/car/image:=/cam/raw'], 'compressed', '/cam/raw/compressed'),
    (['/image:=/cam/raw'], 'raw', '/car/image'),
    (['image:=~/raw'], 'compressed', '/car/resolver/raw/compressed'),
    (['resolver:image:=/cam/raw'], 'compressed', '/cam/raw/compressed'),
    (['resolver:image:=/cam/raw', 'resolver:image/compressed:=/jpeg'], 'compressed', '/jpeg'),
    (['other:image:=/cam/raw'], 'raw', '/car/image')])
def test_rules_count_in_every_way_that_ros_has(peer: Peer, rules: list[str], transport: str,
                                               expected: str) -> None:
    kind = JPEG if transport == 'compressed' else RAW
    assert resolve(peer, rules, [''], transport, '/car') == [(expected, kind)]


@pytest.mark.parametrize('rules, cameras, expected', [
    ([], [''], ['/camera_info']),
    (['image:=/cam/image_raw'], [''], ['/cam/camera_info']),
    (['image:=/cam/image_raw/compressed'], [''], ['/cam/camera_info']),
    (['image/compressed:=/cam/image_raw/compressed'], [''], ['/camera_info']),
    (['image:=/cam/image_raw', 'camera_info:=/info'], [''], ['/info']),
    (['image:=/cam/image_raw', '/cam/camera_info:=/info'], [''], ['/info']),
    (['image:=/cam/image_raw'], ['front'], ['/cam/camera_info']),
    (['camera_info:=/info'], ['front'], ['/info']),
    (['front/image:=/f/raw', 'camera_info:=/info'], ['front', 'rear'],
     ['/f/camera_info', '/rear/camera_info'])])
def test_the_calibration_is_taken_from_beside_the_images(
        peer: Peer, rules: list[str], cameras: list[str], expected: list[str]) -> None:
    parameters = Parameters(cameras=cameras)
    with resolver(peer, rules) as node:
        names = [camera_info_topic(node, camera, image_topic(node, camera, parameters), parameters)
                 for camera in cameras]
        assert [node.resolve_topic_name(name) for name in names] == expected


@pytest.mark.parametrize('cameras, prefix', [([''], ''), (['front'], '/front')])
def test_a_remapped_compressed_camera_is_labelled(
        peer: Peer, model_file: Path, tmp_path: Path, cameras: list[str], prefix: str) -> None:
    jpeg = cv2.imencode('.jpg', street(45, 61))[1].tobytes()
    with running_node(tmp_path, remap=('image:=/cam/image_raw',),
                      model=str(model_file), image_transport='compressed',
                      cameras=cameras) as node:
        label = peer.listen(Image, f'{prefix}/segmentation/label')
        info = peer.listen(CameraInfo, f'{prefix}/segmentation/camera_info')
        calibration = peer.advertise(CameraInfo, '/cam/camera_info')
        camera = peer.advertise(CompressedImage, '/cam/image_raw/compressed')

        def calibrated() -> CompressedImage:
            calibration.publish(CameraInfo(header=new_header()))
            return CompressedImage(header=new_header(), format='jpeg', data=jpeg)

        peer.connect(camera, calibrated, label, info)
        assert 'active: /cam/image_raw/compressed (sensor_msgs/msg/CompressedImage) and ' \
               f'/cam/camera_info -> {prefix}/segmentation/label, ' in node.log()


def test_a_rule_that_no_camera_takes_is_reported(peer: Peer, model_file: Path,
                                                 tmp_path: Path) -> None:
    with running_node(tmp_path, remap=('image:=/cam/image_raw',), model=str(model_file),
                      cameras=['front', 'rear']) as node:
        warning = peer.wait_for(lambda: node.lines('image is remapped'), 'the warning')[0]
    assert 'image is remapped, but no camera has a topic of that name: remap front/image and ' \
           'rear/image' in warning
