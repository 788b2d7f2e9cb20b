# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""More frames than the node can label: the newest wins, and the node stays responsive."""

from collections.abc import Iterator
from pathlib import Path

import cv2
from diagnostic_msgs.msg import DiagnosticArray
from node_process import Diagnostics, Inbox, new_header, Peer, running_node, values_of
import numpy as np
import pytest
from rcl_interfaces.srv import GetParameters
from rclpy.publisher import Publisher
from sensor_msgs.msg import CompressedImage, Image

BURST = 20
FRAMES = 8
# Large enough that a frame takes a good part of a second, though it travels as a small JPEG.
_, LARGE_JPEG = cv2.imencode('.jpg', np.full((2600, 3600, 3), 90, np.uint8))
_, SMALL_JPEG = cv2.imencode('.jpg', np.full((45, 61, 3), 90, np.uint8))


def frame(jpeg: np.ndarray = LARGE_JPEG) -> CompressedImage:
    """Return a frame with a new stamp."""
    return CompressedImage(header=new_header(), format='jpeg', data=jpeg.tobytes())


@pytest.fixture(scope='module', autouse=True)
def node(model_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Run a node that takes compressed images."""
    with running_node(tmp_path_factory.mktemp('node'), model=str(model_file),
                      image_transport='compressed'):
        yield


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


def test_a_compressed_image_is_labelled_with_its_own_header(peer: Peer, camera: Publisher,
                                                            status: Inbox) -> None:
    label = peer.listen(Image, '/segmentation/label')
    peer.connect(camera, lambda: frame(SMALL_JPEG), label)
    sent = frame(SMALL_JPEG)
    message, = peer.ask(camera, sent, label)
    peer.close_inbox(label)
    assert message.header == sent.header
    assert (message.height, message.width, message.encoding) == (45, 61, 'mono8')


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
    peer.call(GetParameters, 'get_parameters', GetParameters.Request(names=['device']))
    assert peer.set_parameters(overlay_alpha=0.5)[0].successful  # clients are made, none counted
    answers = 0
    for _ in range(FRAMES):
        sent = frame()
        camera.publish(sent)
        while not status.of(sent.header.stamp):
            assert peer.state() == 'active'
            device, = peer.call(GetParameters, 'get_parameters',
                                GetParameters.Request(names=['device'])).values
            assert device.string_value == 'auto'
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


@pytest.mark.parametrize('data, reason', [
    (b'', 'the message holds no data'),
    (b'no picture', "data of format 'jpeg' are no JPEG or PNG: 10 bytes")])
def test_data_that_is_no_picture_is_rejected(peer: Peer, camera: Publisher, status: Inbox,
                                             diagnostics: Diagnostics, data: bytes,
                                             reason: str) -> None:
    before = diagnostics.counts('camera')
    camera.publish(CompressedImage(header=new_header(), format='jpeg', data=data))
    after = peer.wait_for(
        lambda: (now := diagnostics.counts('camera'))['rejected'] > before['rejected'] and now,
        'the count of the bad frame')
    assert after['failed'] == before['failed'] == 0
    values = values_of(diagnostics.newest('camera'))
    assert values['last_problem'].startswith(f'rejected: {reason}')
    peer.ask(camera, frame(SMALL_JPEG), status)
