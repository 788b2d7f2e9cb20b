# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""An engine that fails on real calls: what the node does, and what it tells."""

from collections.abc import Iterator
from pathlib import Path

from diagnostic_msgs.msg import DiagnosticArray
from live_node import Diagnostics, NodeProcess, Peer, running_node, street_image
import pytest
from rclpy.publisher import Publisher
from sensor_msgs.msg import Image

pytest.importorskip('openvino', reason='needs openvino, an extra')

PROGRAM = str(Path(__file__).with_name('faulty_node.py'))


@pytest.fixture
def failing(tmp_path: Path) -> Path:
    """Return the file that names the devices that fail."""
    path = tmp_path / 'failing'
    path.write_text('')
    return path


@pytest.fixture
def node(model_file: Path, tmp_path: Path, failing: Path) -> Iterator[NodeProcess]:
    """Run a node with engines that can be made to fail."""
    with running_node(tmp_path, (PROGRAM, str(failing)), model=str(model_file),
                      frozen_frames=0) as node:
        yield node


def send_until(peer: Peer, camera: Publisher, condition) -> None:
    """Send frames until the condition holds."""
    def sent_and_held() -> bool:
        camera.publish(street_image())
        peer.spin(0.05)
        return condition()
    peer.wait_for(sent_and_held, 'the end of the story')


def test_a_failing_engine_is_opened_anew_on_the_next_device(
        peer: Peer, diagnostics: Diagnostics, node: NodeProcess, failing: Path) -> None:
    label = peer.listen(Image, '/segmentation/label')
    story = peer.listen(DiagnosticArray, '/diagnostics')
    camera, status = peer.street_camera('status')
    assert diagnostics.values('node')['device'] == 'openvino'

    failing.write_text('openvino')
    before = len(label)
    send_until(peer, camera, lambda: len(label) > before + 20)
    reasons = [message.status[0].message for message in status]
    failures = [reason for reason in reasons if reason != 'valid']
    assert '1 of 3 failures in a row' in failures[0]
    assert 'reopened on cpu after a pause of 1 s' in failures[2]
    assert failures[3].startswith('closed')
    assert reasons[-1] == 'valid'
    after = diagnostics.wait_for('node', lambda now: now['engine_state'] == 'working')
    assert after['device'] == 'cpu' and after['engine'].startswith('ONNX Runtime')
    assert after['engine_failures'] == '3' and after['engine_reopened'] == '1'
    told = [(part.level, part.message) for array in story for part in array.status
            if part.name == '/segret: node']
    chapters = [message.split(':')[0] for _, message in told]
    assert [now for now, before in zip(chapters, [None, *chapters]) if now != before] == [
        'active', 'engine closed', 'active']
    assert peer.state() == 'active'


def test_a_single_failure_costs_one_frame(peer: Peer, diagnostics: Diagnostics,
                                          node: NodeProcess, failing: Path) -> None:
    camera, status = peer.street_camera('status')
    failing.write_text('openvino')
    lost, = peer.ask(camera, street_image(), status)
    failing.write_text('')
    next_one, = peer.ask(camera, street_image(), status)
    assert '1 of 3 failures in a row' in lost.status[0].message
    assert next_one.status[0].message == 'valid'
    values = diagnostics.values('node')
    assert (values['engine_state'], values['engine_failures'], values['engine_reopened']) == (
        'working', '1', '0')
    assert diagnostics.counts('camera')['failed'] == 1


def test_all_devices_failing_ends_nothing(peer: Peer, diagnostics: Diagnostics,
                                          node: NodeProcess, failing: Path) -> None:
    camera, label = peer.street_camera('label')
    failing.write_text('openvino cpu')
    closed = []

    def closed_twice() -> bool:
        state = diagnostics.values('node')
        if state['engine_state'].startswith('closed') and state['engine_state'] not in closed:
            closed.append(state['engine_state'])
            assert state['level'] == 'error'
        return len(closed) == 2

    send_until(peer, camera, closed_twice)
    assert 'on cpu after a pause of 1 s' in closed[0]
    assert 'on openvino after a pause of 2 s' in closed[1]
    failing.write_text('')
    before = len(label)
    send_until(peer, camera, lambda: len(label) > before)
    assert peer.state() == 'active'


def test_a_model_replaced_while_the_engine_is_closed_is_not_read(
        peer: Peer, tmp_path: Path, failing: Path, model_file: Path) -> None:
    model = tmp_path / 'model.onnx'
    model.write_bytes(model_file.read_bytes())
    with running_node(tmp_path, (PROGRAM, str(failing)), model=str(model), device='cpu',
                      frozen_frames=0):
        camera, status = peer.street_camera('status')
        model.write_bytes(b'something else')
        failing.write_text('cpu')
        send_until(peer, camera, lambda: status[-1].status[0].message.startswith('closed'))
        failing.write_text('')
        send_until(peer, camera, lambda: status[-1].status[0].message == 'valid')
        assert len({item.value for message in status for item in message.status[0].values
                    if item.key == 'model_hash'}) == 1
        assert peer.change('deactivate', 'cleanup')
        assert not peer.change('configure')  # a broken model leaves the node unconfigured
        model.write_bytes(model_file.read_bytes())
        assert peer.change('configure', 'activate')
        peer.connect(camera, street_image, status)
        peer.ask(camera, street_image(), status)
