# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Cameras that lie: what a planner is told, and what it gets instead of labels."""

from pathlib import Path

from diagnostic_msgs.msg import DiagnosticArray
from live_node import Diagnostics, image_message, Peer, pixels_of, running_node, street
import numpy as np
import pytest
from rclpy.publisher import Publisher
from sensor_msgs.msg import Image

BLACK = np.zeros((45, 61, 3), np.uint8)
WHITE = np.full((45, 61, 3), 255, np.uint8)
pytestmark = pytest.mark.usefixtures('node')


@pytest.fixture
def camera(peer: Peer) -> Publisher:
    """Return a camera."""
    return peer.advertise(Image, '/image')


def lively(seed: int) -> np.ndarray:
    """Return a picture with the noise that a sensor has."""
    noise = np.random.default_rng(seed).integers(0, 9, (45, 61, 3))
    return np.clip(street(45, 61) + noise, 0, 255).astype(np.uint8)


def ask(peer: Peer, camera: Publisher, picture: np.ndarray, policy: str) -> tuple:
    """Return the label's pixels, or None, and the status of a picture under a policy."""
    label = peer.listen(Image, '/segmentation/label')
    status = peer.listen(DiagnosticArray, '/segmentation/status')
    assert peer.set_parameters(invalid_images='publish')[0].successful
    peer.connect(camera, lambda: image_message(lively(len(status)), 'rgb8'), label, status)
    assert peer.set_parameters(invalid_images=policy)[0].successful
    message, later = image_message(picture, 'rgb8'), image_message(lively(1000), 'rgb8')
    told, = peer.ask(camera, message, status)
    peer.ask(camera, later, label)  # labels come in order
    labels = label.of(message.header.stamp)
    for inbox in (label, status):
        peer.close_inbox(inbox)
    return pixels_of(labels[0]) if labels else None, told.status[0]


@pytest.mark.parametrize('picture, kind', [(BLACK, 'black'), (WHITE, 'overexposed')])
def test_a_faulty_picture_is_marked_and_treated_by_policy(
        peer: Peer, camera: Publisher, diagnostics: Diagnostics, picture: np.ndarray,
        kind: str) -> None:
    before = diagnostics.counts('camera')['invalid']
    label, status = ask(peer, camera, picture, 'publish')
    assert label is not None and label.max() < 255
    assert status.level == status.WARN and kind in status.message
    label, status = ask(peer, camera, picture, 'unknown')
    assert (label == 255).all() and kind in status.message
    label, status = ask(peer, camera, picture, 'drop')
    assert label is None and kind in status.message
    values = diagnostics.values('camera')
    assert int(values['invalid']) == before + 3
    assert values['level'] == 'warn' and kind in values['message']


def test_a_frozen_camera_is_reported_after_some_frames(peer: Peer, camera: Publisher) -> None:
    status = peer.listen(DiagnosticArray, '/segmentation/status')
    peer.connect(camera, lambda: image_message(lively(len(status)), 'rgb8'), status)
    assert peer.set_parameters(frozen_frames=3)[0].successful
    picture = lively(77)
    told = [peer.ask(camera, image_message(picture, 'rgb8'), status)[0].status[0].message
            for _ in range(5)]
    assert [message == 'valid' for message in told] == [True, True, True, False, False]
    assert 'frozen_frames is 3' in told[-1]
    again, = peer.ask(camera, image_message(lively(78), 'rgb8'), status)
    assert again.status[0].message == 'valid'
    peer.close_inbox(status)


def test_a_lively_picture_is_valid(peer: Peer, camera: Publisher) -> None:
    label, status = ask(peer, camera, lively(1), 'drop')
    assert label is not None and status.message == 'valid'


def test_the_log_reports_once_that_a_camera_is_frozen_and_once_that_it_is_not(
        peer: Peer, model_file: Path, tmp_path: Path) -> None:
    with running_node(tmp_path, model=str(model_file), device='cpu', cameras=['roof'],
                      frozen_frames=3) as node:
        status = peer.listen(DiagnosticArray, '/roof/segmentation/status')
        camera = peer.advertise(Image, '/roof/image')

        for _ in range(2):  # frozen twice, but within a minute
            peer.connect(camera, lambda: image_message(lively(len(status)), 'rgb8'), status)
            for _ in range(6):
                peer.ask(camera, image_message(lively(77), 'rgb8'), status)
            peer.ask(camera, image_message(lively(78), 'rgb8'), status)
        frozen, = node.lines('frozen_frames is 3')
        assert '[WARN]' in frozen and ': /roof/image: the last 4 frames are the same' in frozen
        moving, = node.lines('no longer frozen')
        assert '[INFO]' in moving
        assert moving.endswith('/roof/image: its images are no longer frozen')
        assert len(node.lines('[WARN]')) == 1
