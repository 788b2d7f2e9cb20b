# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Images larger than Fast DDS's own shared memory segment come and go whole."""

from collections.abc import Iterator
import os
from pathlib import Path

from live_node import image_message, NodeProcess, Peer, running_node, street
import pytest
from rclpy.qos import QoSProfile, ReliabilityPolicy
from segret_ros.node.distribution import (
    profile_variable,
    PROFILE_VARIABLES,
    use_large_image_profile,
)
from sensor_msgs.msg import Image

PICTURE = street(720, 1280)
CAMERA = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
FRAMES = 5


@pytest.fixture
def node(model_file: Path, tmp_path: Path,
         monkeypatch: pytest.MonkeyPatch) -> Iterator[NodeProcess]:
    """Run a node that chooses its profile itself."""
    monkeypatch.delenv(profile_variable())
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
    assert 'PROFILES_FILE' not in node.log()  # as Kilted warns of the name that Jazzy reads


@pytest.mark.parametrize('named', [None, *PROFILE_VARIABLES.values()])
def test_the_profile_is_the_one_that_is_named_by_either_name(
        named: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.delenv(profile_variable())
        if named:
            patch.setenv(named, 'mine.xml')
        use_large_image_profile()
        found = {name: Path(os.environ.pop(name)).name for name in PROFILE_VARIABLES.values()
                 if name in os.environ}
    profile = 'mine.xml' if named else 'fastdds.xml'
    assert found == dict.fromkeys({profile_variable(), named or profile_variable()}, profile)
