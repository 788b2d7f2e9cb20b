# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Ctrl-C and SIGTERM end the program well in every state."""

from pathlib import Path
import signal
import time

from lifecycle_msgs.msg import Transition
from live_node import image_message, Peer, running_node, street, WAY_TO
import pytest
from sensor_msgs.msg import Image
from waiting import wait_for

# What can be seen of the program as it starts: what it has imported, or what it has logged.
MOMENTS = {
    'handler': lambda node: not node.is_deaf_to(signal.SIGTERM),
    'numpy': lambda node: node.has_loaded('/numpy/'),
    'cv2': lambda node: node.has_loaded('/cv2/'),
    'rclpy': lambda node: node.has_loaded('_rclpy_pybind11'),
    'onnxruntime': lambda node: node.has_loaded('onnxruntime'),
    'middleware': lambda node: node.has_loaded('/librmw_'),
    'configured': lambda node: 'classes' in node.log(),
    'active': lambda node: ']: active: ' in node.log(),
}
SHUTDOWN_FROM = {'unconfigured': Transition.TRANSITION_UNCONFIGURED_SHUTDOWN,
                 'inactive': Transition.TRANSITION_INACTIVE_SHUTDOWN,
                 'active': Transition.TRANSITION_ACTIVE_SHUTDOWN}


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize('state', WAY_TO)
def test_a_signal_ends_the_program_with_exit_code_0(
        peer: Peer, model_file: Path, tmp_path: Path, state: str, number: int) -> None:
    with running_node(tmp_path, model=str(model_file), autostart=False) as node:
        peer.go_to(state)
        node.interrupt(number)
        assert node.wait() == 0
        assert 'Traceback' not in node.log()
        assert '[ERROR]' not in node.log()
    peer.wait_for_end()


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_program_while_frames_flow(
        peer: Peer, model_file: Path, tmp_path: Path, number: int) -> None:
    label = peer.listen(Image, '/segmentation/label')
    camera = peer.advertise(Image, '/image')

    def frame() -> Image:
        return image_message(street(120, 160), 'rgb8')

    with running_node(tmp_path, model=str(model_file), device='cpu', frozen_frames=0) as node:
        peer.connect(camera, frame, label)
        for _ in range(20):  # faster than it can label
            camera.publish(frame())
            peer.spin(0.005)
        node.interrupt(number)
        for _ in range(20):
            camera.publish(frame())
            peer.spin(0.005)
        assert node.wait() == 0
        assert 'Traceback' not in node.log()
        assert '[ERROR]' not in node.log() and '[WARN]' not in node.log()


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize('moment', MOMENTS)
def test_a_signal_ends_the_program_well_while_it_starts(
        model_file: Path, tmp_path: Path, moment: str, number: int) -> None:
    with running_node(tmp_path, model=str(model_file), device='cpu') as node:
        wait_for(lambda: MOMENTS[moment](node), moment, pause=lambda: None)
        node.interrupt(number)
        assert node.wait() == 0
        assert 'Traceback' not in node.log()
        assert '[ERROR]' not in node.log() and '[WARN]' not in node.log()


def test_signals_until_the_very_end_do_no_harm(model_file: Path, tmp_path: Path) -> None:
    with running_node(tmp_path, model=str(model_file), device='cpu') as node:
        wait_for(lambda: ']: active: ' in node.log(), 'the active node')
        while not node.has_ended():
            node.interrupt(signal.SIGTERM)
            time.sleep(0.001)
        assert node.wait() == 0
        assert 'Traceback' not in node.log()


def test_a_second_ctrl_c_does_no_harm(peer: Peer, model_file: Path, tmp_path: Path) -> None:
    with running_node(tmp_path, model=str(model_file), autostart=False) as node:
        peer.go_to('active')
        node.interrupt()
        node.interrupt()
        assert node.wait() == 0
        assert 'Traceback' not in node.log()


@pytest.mark.parametrize('state', WAY_TO)
def test_shutdown_ends_in_finalized_and_takes_the_topics_down(
        peer: Peer, model_file: Path, tmp_path: Path, state: str) -> None:
    with running_node(tmp_path, model=str(model_file), autostart=False) as node:
        peer.go_to(state)
        assert peer.change(SHUTDOWN_FROM[state])
        assert peer.state() == 'finalized'
        peer.wait_for_topics(0, 0)
        node.interrupt()
        assert node.wait() == 0
        assert 'Traceback' not in node.log()
