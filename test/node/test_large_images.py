"""Images larger than Fast DDS's own shared memory segment come and go whole."""

from collections.abc import Iterator
import os
from pathlib import Path

from node_process import image_message, NodeProcess, Peer, running_node, street
import pytest
from rclpy.qos import QoSProfile, ReliabilityPolicy
from segret_ros.node.transport import (
    PROFILE_VARIABLE, PROFILE_VARIABLE_OF_HUMBLE, use_large_image_profile)
from sensor_msgs.msg import Image

PICTURE = street(720, 1280)
CAMERA = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
FRAMES = 5
VARIABLES = (PROFILE_VARIABLE, PROFILE_VARIABLE_OF_HUMBLE)


@pytest.fixture
def node(model_file: Path, tmp_path: Path,
         monkeypatch: pytest.MonkeyPatch) -> Iterator[NodeProcess]:
    """Run a node that chooses its profile itself."""
    monkeypatch.delenv(PROFILE_VARIABLE)
    with running_node(tmp_path, model=str(model_file)) as node:
        yield node


def test_every_best_effort_frame_is_answered_on_every_topic(node: NodeProcess,
                                                            peer: Peer) -> None:
    outputs = [peer.listen(Image, f'/segmentation/{output}')
               for output in ('label', 'confidence', 'color', 'overlay')]
    camera = peer.advertise(Image, '/image', CAMERA)
    peer.connect(camera, lambda: image_message(PICTURE, 'rgb8'), *outputs)
    for _ in range(FRAMES):
        frame = image_message(PICTURE, 'rgb8')
        for message in peer.ask(camera, frame, *outputs):
            assert (message.height, message.width) == (720, 1280)
            assert message.header == frame.header


@pytest.mark.parametrize('distribution, variable', [
    ('humble', PROFILE_VARIABLE_OF_HUMBLE), ('kilted', PROFILE_VARIABLE)])
def test_the_profile_is_named_as_the_distribution_knows_it(
        distribution: str, variable: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        for name in VARIABLES:
            patch.delenv(name, raising=False)
        patch.setenv('ROS_DISTRO', distribution)
        use_large_image_profile()
        found = {name: os.environ.pop(name) for name in VARIABLES if name in os.environ}
    assert list(found) == [variable]
    assert Path(found[variable]).read_text().count('<segment_size>33554432<') == 1


@pytest.mark.parametrize('variable', VARIABLES)
def test_a_profile_of_the_users_stays(variable: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv(variable, 'mine.xml')
    use_large_image_profile()
    assert {name: os.environ[name] for name in VARIABLES if name in os.environ} == {
        variable: 'mine.xml'}
