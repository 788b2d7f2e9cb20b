# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Several cameras in one node: each has its own topics."""


from diagnostic_msgs.msg import DiagnosticArray
from live_node import Diagnostics, image_message, Peer, pixels_of, street
import numpy as np
import pytest
from segret_ros.inference import Segmenter
from sensor_msgs.msg import Image

CAMERAS = ('front', 'side/left')
PICTURES = {'front': street(45, 61), 'side/left': street(30, 80)[:, ::-1]}
PARAMETERS = {'cameras': list(CAMERAS)}  # of `node`
pytestmark = pytest.mark.usefixtures('node')


def test_each_camera_gets_its_own_labels(peer: Peer, segmenter: Segmenter) -> None:
    images = {name: peer.advertise(Image, f'/{name}/image') for name in CAMERAS}
    labels = {name: peer.listen(Image, f'/{name}/segmentation/label') for name in CAMERAS}
    for name in CAMERAS:
        peer.connect(images[name], lambda: image_message(PICTURES[name], 'rgb8'), labels[name])
    frames = {name: image_message(PICTURES[name], 'rgb8') for name in CAMERAS}
    for name in CAMERAS:
        frames[name].header.frame_id = name
        images[name].publish(frames[name])
    for name in CAMERAS:
        stamp = frames[name].header.stamp
        label, = peer.wait_for(lambda: labels[name].of(stamp), f'the label of {name}')
        assert label.header == frames[name].header
        np.testing.assert_array_equal(pixels_of(label), segmenter(PICTURES[name]).label)
    for name, other in (CAMERAS, CAMERAS[::-1]):
        assert not labels[name].of(frames[other].header.stamp)


def test_the_statuses_name_their_camera(peer: Peer) -> None:
    for name in CAMERAS:
        status = peer.listen(DiagnosticArray, f'/{name}/segmentation/status')
        peer.connect(peer.advertise(Image, f'/{name}/image'),
                     lambda: image_message(PICTURES[name], 'rgb8'), status)
        assert status[-1].status[0].name == f'{name}/segmentation'


def test_the_cameras_are_counted_apart(peer: Peer, diagnostics: Diagnostics) -> None:
    before = [diagnostics.counts(f'camera {name}')['received'] for name in CAMERAS]
    label = peer.listen(Image, '/front/segmentation/label')
    sent = peer.connect(peer.advertise(Image, '/front/image'),
                        lambda: image_message(PICTURES['front'], 'rgb8'), label)
    after = [diagnostics.counts(f'camera {name}')['received'] for name in CAMERAS]
    assert before[0] < after[0] <= before[0] + sent
    assert after[1] == before[1]


def test_there_are_no_topics_without_a_prefix(peer: Peer) -> None:
    def names() -> set[str]:
        return {name for name, _ in peer.node.get_topic_names_and_types()}

    peer.wait_for(lambda: '/front/segmentation/label' in names(), "a camera's topic")
    assert not {'/image', '/segmentation/label'} & names()
