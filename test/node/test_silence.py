# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Cameras without an image: the log and the diagnostics say why, once, and what to do."""

from collections.abc import Iterator
from pathlib import Path

from diagnostic_msgs.msg import DiagnosticStatus
from live_node import Diagnostics, NodeProcess, OUTPUTS, Peer, running_node, street_image
import pytest
from rclpy.qos import QoSProfile, ReliabilityPolicy
from segret_ros.node import silence
from segret_ros.node.image_topic import ImageTopic
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

BEST_EFFORT = QoSProfile(depth=5, reliability=ReliabilityPolicy.BEST_EFFORT)
# Of each camera: what there is beside it, and what the node says to that.
OFFERED = {
    'sibling': (CompressedImage, '/sibling/image/compressed', None),
    'other': (CompressedImage, '/other/image', None),
    'plain': (CameraInfo, '/plain/image', None),
    'away': (Image, '/away/image_raw', None),
    'effort': (Image, '/effort/image', BEST_EFFORT),
    'quiet': (Image, '/quiet/image', None),
}
JPEG = 'sensor_msgs/msg/CompressedImage'
REASONS = {
    'sibling': f'nobody publishes it, but there is /sibling/image/compressed ({JPEG}), ',
    'other': f'it is published as {JPEG}, and the node takes sensor_msgs/msg/Image there: set '
             'image_transport to compressed and remap other/image/compressed to /other/image',
    'plain': 'it is published as sensor_msgs/msg/CameraInfo, and the node takes '
             'sensor_msgs/msg/Image there: remap plain/image to a topic of images',
    'away': 'nobody publishes it, but there is /away/image_raw (sensor_msgs/msg/Image), ',
    'quiet': '/peer publishes it, but nothing arrives',
}
ADVICE = {'sibling': ': set image_transport to compressed',
          'away': ': remap away/image to /away/image_raw',
          'quiet': ' and for large raw images the middleware (config/fastdds.xml)'}
EFFORT = ('a publisher on /effort/image offers another RELIABILITY than the node asks for, so '
          'none of its images arrive: set image_reliability to best_effort')


@pytest.fixture(scope='module')
def node(model_file: Path, tmp_path_factory: pytest.TempPathFactory,
         peer: Peer) -> Iterator[NodeProcess]:
    """Run a node on silent cameras, each for another reason."""
    for kind, topic, qos in OFFERED.values():
        peer.advertise(kind, topic, *filter(None, [qos]))
    with running_node(tmp_path_factory.mktemp('node'), model=str(model_file), device='cpu',
                      image_reliability='reliable', cameras=list(OFFERED)) as node:
        peer.wait_for(lambda: len(warnings(node)) >= len(OFFERED), 'a warning for each camera')
        yield node


def warnings(node: NodeProcess, camera: str = '') -> list[str]:
    """Return the warnings in the log, of all cameras or of one."""
    return [line for line in node.lines('[WARN]') if f' [segret]: /{camera}' in line]


def test_the_log_names_all_topics_of_each_camera_at_activation(node: NodeProcess) -> None:
    lines = [line.partition(']: active: ')[2] for line in node.lines(']: active: ')]
    for camera, line in zip(OFFERED, lines, strict=True):
        received, _, published = line.partition(' -> ')
        assert received == f'/{camera}/image (sensor_msgs/msg/Image) and /{camera}/camera_info'
        assert {f'/{camera}/segmentation/{output}' for output in OUTPUTS} <= {
            *published.split(', ')}


@pytest.fixture(scope='module')
def statuses(node: NodeProcess, diagnostics: Diagnostics) -> dict[str, DiagnosticStatus]:
    """Return what the diagnostics tell of each camera, some looks at the graph later."""
    for _ in range(2):
        array = diagnostics.any_newest()
    return {status.name.rpartition(' ')[2]: status for status in array.status}


@pytest.mark.parametrize('camera', REASONS)
def test_one_warning_reports_why_nothing_comes(
        node: NodeProcess, statuses: dict[str, DiagnosticStatus], camera: str) -> None:
    status = statuses[camera]
    assert status.message.startswith(
        f'waiting: no image on /{camera}/image yet: {REASONS[camera]}')
    assert status.message.endswith(ADVICE.get(camera, ''))
    assert status.level == (status.ERROR if camera in ('other', 'plain') else status.WARN)
    line, = warnings(node, f'{camera}/image: ')
    assert ': no image for ' in line and f' s: {REASONS[camera]}' in line
    assert line.endswith(ADVICE.get(camera, ''))
    assert 'segmentation' not in line  # the node's own images are no cameras


def test_another_middleware_is_not_sent_to_the_profile_of_fast_dds(
        peer: Peer, monkeypatch: pytest.MonkeyPatch) -> None:
    camera = peer.advertise(Image, '/still/image')
    topic = ImageTopic('image', '/still/image', '/still/image', Image)
    peer.wait_for(lambda: peer.node.count_publishers(topic.name), 'the camera')
    assert silence.silence(peer.node, topic, False).reason.endswith('(config/fastdds.xml)')
    monkeypatch.setattr(silence, 'profile_variable', lambda: None)
    assert silence.silence(peer.node, topic, False).reason.endswith('(docs/transport.md)')
    peer.node.destroy_publisher(camera)


def test_incompatible_qos_is_reported_once_too(node: NodeProcess,
                                               statuses: dict[str, DiagnosticStatus]) -> None:
    status = statuses['effort']
    assert (status.level, status.message) == (status.ERROR, EFFORT)
    line, = warnings(node, 'effort/image: ')
    assert line.endswith(EFFORT)


def test_images_that_come_after_all_are_reported(peer: Peer, model_file: Path,
                                                 tmp_path: Path) -> None:
    with running_node(tmp_path, model=str(model_file), device='cpu', cameras=['late'],
                      frozen_frames=0) as node:
        warning = peer.wait_for(lambda: warnings(node, 'late'), 'the warning')[0]
        assert ': nobody publishes it' in warning
        label = peer.listen(Image, '/late/segmentation/label')
        camera = peer.advertise(Image, '/late/image')
        peer.connect(camera, street_image, label)

        def told() -> list[str]:
            camera.publish(street_image())
            return node.lines('images are arriving')

        line, = peer.wait_for(told, 'the end of the trouble')
        assert '[INFO]' in line and line.endswith('/late/image: images are arriving')
        assert len(warnings(node)) == 1
