# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""More frames than the node can label: the newest wins, and the node stays responsive."""

from collections.abc import Iterator

import cv2
from diagnostic_msgs.msg import DiagnosticArray
from live_node import Diagnostics, Inbox, new_header, Peer
import numpy as np
import pytest
from rclpy.publisher import Publisher
from sensor_msgs.msg import CompressedImage

BURST = 20
FRAMES = 8
# Large enough that a frame takes a good part of a second, though it travels as a small JPEG.
_, LARGE_JPEG = cv2.imencode('.jpg', np.full((2600, 3600, 3), 90, np.uint8))
_, SMALL_JPEG = cv2.imencode('.jpg', np.full((45, 61, 3), 90, np.uint8))
PARAMETERS = {'image_transport': 'compressed'}  # of `node`
pytestmark = pytest.mark.usefixtures('node')


def frame(jpeg: np.ndarray = LARGE_JPEG) -> CompressedImage:
    """Return a frame with a new stamp."""
    return CompressedImage(header=new_header(), format='jpeg', data=jpeg.tobytes())


@pytest.fixture(scope='module')
def camera(peer: Peer) -> Publisher:
    """Return the camera."""
    return peer.advertise(CompressedImage, '/image/compressed')


@pytest.fixture
def status(peer: Peer, camera: Publisher) -> Iterator[Inbox]:
    """Yield the inbox of the statuses, one a labelled frame, after the first came."""
    peer.go_to('active')
    status = peer.listen(DiagnosticArray, '/segmentation/status')
    peer.connect(camera, lambda: frame(SMALL_JPEG), status)
    yield status
    peer.close_inbox(status)


def test_the_newest_frame_of_a_burst_wins(peer: Peer, camera: Publisher, status: Inbox,
                                          diagnostics: Diagnostics) -> None:
    before = diagnostics.counts('camera')
    frames = [frame() for _ in range(BURST)]
    for message in frames:
        camera.publish(message)
        peer.spin(0.01)
    peer.wait_for(lambda: status.of(frames[-1].header.stamp), 'the answer to the last frame')
    answered = [message for message in frames if status.of(message.header.stamp)]
    gained = {key: value - before[key] for key, value in diagnostics.counts('camera').items()}
    assert len(answered) < BURST
    assert [message.header.stamp for message in status[-len(answered):]] == [
        message.header.stamp for message in answered]  # in order, each once
    assert gained['processed'] == len(answered)
    assert gained['dropped'] == gained['received'] - gained['processed'] > 0
    assert gained['rejected'] == gained['failed'] == 0


def test_services_answer_while_frames_are_labelled(peer: Peer, camera: Publisher,
                                                   status: Inbox) -> None:
    peer.parameters('device')
    assert peer.set_parameters(overlay_alpha=0.5)[0].successful  # clients are made, none counted
    answers = 0
    for _ in range(FRAMES):
        sent = frame()
        camera.publish(sent)
        while not status.of(sent.header.stamp):
            assert peer.state() == 'active'
            assert peer.parameters('device') == {'device': 'auto'}
            assert peer.set_parameters(overlay_alpha=0.5)[0].successful
            answers += 3
            assert answers < 30_000, 'a frame was not labelled'
    # Hundreds; a node that labels in its executor gives one round of three a frame.
    assert answers > FRAMES * 6


def test_a_transition_ends_the_frame_in_work_and_forgets_the_waiting_one(
        peer: Peer, camera: Publisher, status: Inbox, diagnostics: Diagnostics) -> None:
    before = diagnostics.counts('camera')
    frames = [frame() for _ in range(3)]
    for message in frames:
        camera.publish(message)
    assert peer.change('deactivate')
    assert peer.state() == 'inactive'
    gained = {key: value - before[key] for key, value in diagnostics.counts('camera').items()}
    answered = [message for message in frames if status.of(message.header.stamp)]
    assert len(answered) == gained['processed'] <= 1
    assert gained['failed'] == 0
    later = diagnostics.counts('camera')
    assert {key: value - before[key] for key, value in later.items()} == gained
    assert peer.change('activate')
    peer.connect(camera, lambda: frame(SMALL_JPEG), peer.listen(
        DiagnosticArray, '/segmentation/status'))
