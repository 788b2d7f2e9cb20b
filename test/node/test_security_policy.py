# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""What the node has on the graph is what its SROS 2 policy grants; no message names it a file."""

from collections.abc import Iterator
import ctypes
from importlib.util import find_spec
import os
from pathlib import Path
import shutil
import time
import xml.etree.ElementTree as ET

from diagnostic_msgs.msg import DiagnosticArray
from live_node import image_message, Peer, street
import pytest
from segret_ros.files.share import share_directory
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

SETTLE_S = 8.0  # for discovery
IN_OPEN = 0x20  # of inotify
# What a distribution or installation does not have, though the policy grants it.
OPTIONAL = {
    *(() if find_spec('vision_msgs') else ['/segmentation/label_info']),
    *(() if find_spec('type_description_interfaces') else ['/segret/get_type_description']),
}
OTHER_TRANSPORT = {'raw': '/image/compressed', 'compressed': '/image'}
PARAMETERS = {'autostart': False, 'use_sim_time': True}  # of `node`
pytestmark = pytest.mark.usefixtures('node')


def granted(kind: str, right: str) -> set[str]:
    """Return the full names of the topics or services that the policy grants a right to."""
    profile = ET.parse(share_directory() / 'config' / 'sros2_policy.xml').find('.//profile')
    own = f'{profile.get("ns").rstrip("/")}/'
    names = [entry.text for group in profile.findall(kind) if group.get(right) == 'ALLOW'
             for entry in group]
    return {name if name.startswith('/') else own + name.replace('~', profile.get('node'))
            for name in names} - OPTIONAL


def on_the_graph(peer: Peer, what: str, expected: set[str]) -> set[str]:
    """Return the names of the node's `what`, waiting for discovery until they are as expected."""
    end = time.monotonic() + SETTLE_S
    found = None
    while found != expected and time.monotonic() < end:
        peer.spin(0.1)
        if 'segret' in peer.node.get_node_names():
            read = getattr(peer.node, f'get_{what}_names_and_types_by_node')
            found = {name for name, _ in read('segret', '/')}
    return found


@pytest.mark.parametrize('transport', OTHER_TRANSPORT)
def test_the_policy_grants_the_topics_that_the_node_has(peer: Peer, transport: str) -> None:
    peer.go_to('unconfigured')
    peer.set_parameters(image_transport=transport)
    peer.go_to('active')
    publishes = granted('topics', 'publish')
    assert on_the_graph(peer, 'publisher', publishes) == publishes
    subscribes = granted('topics', 'subscribe') - {OTHER_TRANSPORT[transport]}
    assert on_the_graph(peer, 'subscriber', subscribes) == subscribes


def test_the_policy_grants_the_services_that_the_node_has(peer: Peer) -> None:
    answers = granted('services', 'reply')
    assert on_the_graph(peer, 'service', answers) == answers
    assert on_the_graph(peer, 'client', set()) == granted('services', 'request') == set()


class Watch:
    """Watches whether any process opens a file."""

    def __init__(self, path: Path) -> None:
        libc = ctypes.CDLL(None, use_errno=True)
        self._events = libc.inotify_init1(os.O_NONBLOCK)
        assert libc.inotify_add_watch(self._events, os.fsencode(path), IN_OPEN) > 0

    def opened(self) -> bool:
        """Return whether the file was opened since the last call."""
        try:
            return bool(os.read(self._events, 4096))
        except BlockingIOError:
            return False

    def close(self) -> None:
        """Stop to watch."""
        os.close(self._events)


@pytest.fixture
def bait(model_file: Path, tmp_path: Path) -> Iterator[tuple[Path, Watch]]:
    """Yield a model file that the node is not configured with, and a watch over it."""
    path = shutil.copy(model_file, tmp_path / 'bait.onnx')
    watch = Watch(path)
    yield path, watch
    watch.close()


def message_that_names(kind: type, path: str) -> Image | CompressedImage:
    """Return an image message with a path in each of its texts, and in its data."""
    if kind is Image:
        message = image_message(street(8, 8), 'rgb8')
        message.encoding = path
    else:
        message = CompressedImage(format=path, data=path.encode())
    message.header.frame_id = path
    return message


@pytest.mark.parametrize('transport, kind, topic', [
    ('raw', Image, '/image'), ('compressed', CompressedImage, '/image/compressed')])
def test_neither_message_nor_parameter_makes_a_configured_node_open_a_file(
        peer: Peer, bait: tuple[Path, Watch], transport: str, kind: type, topic: str) -> None:
    path, watch = bait
    peer.go_to('unconfigured')
    peer.set_parameters(image_transport=transport)
    peer.go_to('active')
    status = peer.listen(DiagnosticArray, '/segmentation/status')
    frame = message_that_names(kind, str(path))
    info = CameraInfo(header=frame.header, distortion_model=str(path))
    peer.advertise(CameraInfo, '/camera_info').publish(info)
    peer.connect(peer.advertise(kind, topic), lambda: frame, status)
    result, = peer.set_parameters(model=str(path))
    assert not result.successful and 'model is read on configure' in result.reason
    peer.close_inbox(status)
    assert not watch.opened()


def test_a_path_is_read_on_configure(peer: Peer, bait: tuple[Path, Watch],
                                     model_file: Path) -> None:
    path, watch = bait
    peer.go_to('unconfigured')
    assert peer.set_parameters(model=str(path))[0].successful
    assert not watch.opened()
    assert peer.change('configure')
    assert watch.opened()
    peer.go_to('unconfigured')
    peer.set_parameters(model=str(model_file))
