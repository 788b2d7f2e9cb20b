"""Ctrl-C and SIGTERM end the program well in every state."""

from pathlib import Path
import signal
import time

from node_process import image_message, Peer, running_node, street, WAY_TO
import pytest
from sensor_msgs.msg import Image

LONGEST_S = 5.0  # far more than a frame takes, less than what a process manager grants


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize('state', WAY_TO)
def test_a_signal_ends_the_program_with_exit_code_0(
        peer: Peer, model_file: Path, tmp_path: Path, state: str, number: int) -> None:
    with running_node(tmp_path, model=str(model_file), autostart=False) as node:
        peer.go_to(state)
        started = time.monotonic()
        node.interrupt(number)
        assert node.wait() == 0
        assert time.monotonic() - started < LONGEST_S
        assert 'Traceback' not in node.log()
        assert '[ERROR]' not in node.log()
    peer.wait_for(lambda: 'segret' not in peer.node.get_node_names(), 'the end of its services')


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_program_while_frames_flow(
        peer: Peer, model_file: Path, tmp_path: Path, number: int) -> None:
    label = peer.listen(Image, '/segmentation/label')
    camera = peer.advertise(Image, '/image')

    def frame() -> Image:
        return image_message(street(120, 160), 'rgb8')

    with running_node(tmp_path, model=str(model_file)) as node:
        peer.connect(camera, frame, label)
        for _ in range(20):  # faster than it can label
            camera.publish(frame())
            time.sleep(0.005)
        node.interrupt(number)
        for _ in range(20):
            camera.publish(frame())
            time.sleep(0.005)
        assert node.wait() == 0
        assert 'Traceback' not in node.log()
        assert '[ERROR]' not in node.log() and '[WARN]' not in node.log()


def test_a_second_ctrl_c_does_no_harm(peer: Peer, model_file: Path, tmp_path: Path) -> None:
    with running_node(tmp_path, model=str(model_file), autostart=False) as node:
        peer.go_to('active')
        node.interrupt()
        node.interrupt()
        assert node.wait() == 0
        assert 'Traceback' not in node.log()
