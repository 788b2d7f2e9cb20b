# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""What the node's consumers demand, replayed on its real process; docs/contracts.md tells it."""

from collections.abc import Callable, Iterator
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
import subprocess
import sys

from builtin_interfaces.msg import Time
from live_node import (
    ALL,
    image_message,
    Inbox,
    Peer,
    PROBE_PERIOD_S,
    running_node,
    STREET,
    street_image,
)
import numpy as np
import pytest
from rclpy.publisher import Publisher
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rclpy.serialization import serialize_message
from segret_ros.inference import Segmenter
from segret_ros.node.stamps import stamp_ns
from sensor_msgs.msg import CameraInfo, Image, PointCloud2, PointField
from std_msgs.msg import Header

SIZE = (45, 61)
FRAMES = 20
LISTEN_S = (2, 4, 8, 16)  # in turns: on a busy machine discovery takes longer
# Of the layer's subscriptions to label, confidence and cloud.
SENSOR_DATA = QoSProfile(depth=50, reliability=ReliabilityPolicy.BEST_EFFORT,
                         durability=DurabilityPolicy.VOLATILE)
LATCHED = QoSProfile(depth=5, reliability=ReliabilityPolicy.RELIABLE,
                     durability=DurabilityPolicy.TRANSIENT_LOCAL)  # of that to label_info
LAYER_TOPICS = {'/segmentation/label': Image, '/segmentation/confidence': Image,
                '/points': PointCloud2}
NS_PER_S = 1_000_000_000
BEST_EFFORT = QoSProfile(depth=5, reliability=ReliabilityPolicy.BEST_EFFORT)
BY_IMAGE = {'label', 'confidence', 'color', 'overlay', 'camera_info', 'status'}


@pytest.fixture(scope='module')
def image(model_file: Path, tmp_path_factory: pytest.TempPathFactory,
          peer: Peer) -> Iterator[Publisher]:
    """Run a node that has labelled an image; give the camera's publisher."""
    with running_node(tmp_path_factory.mktemp('node'), model=str(model_file)):
        image, label = peer.street_camera('label')
        peer.close_inbox(label)
        yield image


def cloud(header: object, height: int = SIZE[0], width: int = SIZE[1]) -> PointCloud2:
    """Return an organised cloud with a point for each pixel."""
    fields = [PointField(name=name, offset=4 * index, datatype=PointField.FLOAT32, count=1)
              for index, name in enumerate('xyz')]
    return PointCloud2(header=header, height=height, width=width, fields=fields, point_step=12,
                       row_step=12 * width, data=bytes(12 * height * width), is_dense=True)


def check_contract(peer: Peer, publish: Callable[[], None], *words: str,
                   until: Callable[[int, list[str]], bool]) -> tuple[int, list[str]]:
    """
    Return the command's exit code and lines, while something is published.

    :param until: tells whether they are as expected; else the command listens again, for longer.
    """
    for seconds in LISTEN_S:
        process = subprocess.Popen(
            [sys.executable, '-m', 'segret_ros.offline.contract.main', '--seconds',
             str(seconds), *words],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        while process.poll() is None:
            publish()
            peer.spin(PROBE_PERIOD_S)
        code, lines = process.returncode, process.stdout.read().splitlines()
        if until(code, lines):
            break
    return code, lines


def test_the_node_gives_what_a_reader_of_mono8_demands(image: Publisher, peer: Peer) -> None:
    verdict = 'mono8 is satisfied: 0 errors, 0 warnings'
    pairs = 'have the stamp of a message on /image'
    code, lines = check_contract(
        peer, lambda: image.publish(street_image()), '--consumer', 'mono8',
        until=lambda code, lines: lines[-1] == verdict and any(pairs in line for line in lines))
    assert (code, lines[-1]) == (0, verdict), lines
    assert any(pairs in line for line in lines), lines
    assert any('mono8, 45 x 61 pixels, no padding' in line for line in lines)


def test_the_node_gives_what_nav2_demands(image: Publisher, peer: Peer) -> None:
    """Where vision_msgs is missing, label_info is, and nothing else."""
    errors_known = 0 if find_spec('vision_msgs') else 1
    points = peer.advertise(PointCloud2, '/points')

    def publish() -> None:
        sent = street_image()
        points.publish(cloud(sent.header))
        image.publish(sent)

    code, lines = check_contract(
        peer, publish, '--cloud-topic', '/points', until=lambda code, lines: len(
            [line for line in lines if line.startswith(('error', 'warning'))]) == errors_known)
    peer.node.destroy_publisher(points)
    assert [line for line in lines if line.startswith('warning')] == []
    errors = [line for line in lines if line.startswith('error')]
    if find_spec('vision_msgs'):
        assert (code, errors) == (0, []), lines
    else:
        assert code == 2
        assert [line.split()[1] for line in errors] == ['/segmentation/label_info'], lines
        assert 'no such topic' in errors[0] and 'install vision_msgs' in errors[0]
    for text in ('have the stamp of a message on /segmentation/confidence',
                 'organised, 45 x 61 points', 'have the stamp of a cloud on /points'):
        assert any(line.startswith('ok') and text in line for line in lines), text


def test_a_faulty_publisher_is_reported(peer: Peer) -> None:
    camera = peer.advertise(Image, '/faulty/image')
    label = peer.advertise(Image, '/faulty/segmentation/label', BEST_EFFORT)
    confidence = peer.advertise(Image, '/faulty/segmentation/confidence')
    names = peer.advertise(CameraInfo, '/faulty/segmentation/label_info')
    points = peer.advertise(PointCloud2, '/faulty/points', BEST_EFFORT)
    grey = STREET[..., 0]

    def publish() -> None:
        messages = [image_message(pixels, encoding, padding) for pixels, encoding, padding in (
            (STREET, 'rgb8', 0), (grey, 'mono8', 3), (grey[:, 1:], '8UC1', 0))]
        for message in messages[1:]:
            message.header.frame_id = messages[0].header.frame_id
            message.header.stamp.sec = messages[0].header.stamp.sec
            message.header.stamp.nanosec = messages[0].header.stamp.nanosec
        messages[2].header.stamp.nanosec -= 1
        for publisher, message in zip((camera, label, confidence), messages):
            publisher.publish(message)
        names.publish(CameraInfo())
        shifted = Header(frame_id='camera', stamp=Time(
            sec=messages[0].header.stamp.sec + 3600, nanosec=messages[0].header.stamp.nanosec))
        points.publish(cloud(shifted, 1, 17))

    def found(lines: list[str]) -> list[tuple[str, str]]:
        return [(line.split()[0], line.split()[1].removeprefix('/faulty/segmentation/'))
                for line in lines[:-1] if not line.startswith('ok')]

    expected = [('error', 'label'), ('warning', 'label'), ('error', 'confidence'),
                ('error', 'label'), ('error', 'confidence'), ('error', 'label_info'),
                ('error', '/faulty/points'), ('error', 'label')]
    code, lines = check_contract(peer, publish, '--prefix', 'faulty', '--cloud-topic', 'points',
                                 until=lambda code, lines: found(lines) == expected)
    text = '\n'.join(lines)
    assert (code, found(lines)) == (2, expected), text
    for part in ('step is 64 for rows of 61 pixels', 'offered as best effort',
                 "encoding is '8UC1'", ' is 1 ns off ', '45 x 60 pixels, but',
                 'is of type sensor_msgs/msg/CameraInfo',
                 'is not organised: 17 points in one row', 'share one clock'):
        assert part in text


def pairs(tolerance_ns: int, *inboxes: list) -> list[tuple]:
    """
    Return what message_filters pairs of messages that are farther apart than the tolerance.

    :param tolerance_ns: 0 for exact time.
    """
    def nearest(first: object, inbox: list) -> object:
        return min(inbox, key=lambda other: abs(stamp_ns(other.header) - stamp_ns(first.header)))

    sets = [(first, *(nearest(first, inbox) for inbox in inboxes[1:])) for first in inboxes[0]]
    return [messages for messages in sets
            if np.ptp([stamp_ns(message.header) for message in messages]) <= tolerance_ns]


def drive_frames(shift_ns: int) -> list[tuple[Image, PointCloud2]]:
    """Return images, a second apart, with a cloud each whose stamp is shifted."""
    first = street_image().header.stamp.sec
    frames = []
    for number in range(FRAMES):
        image = street_image()
        image.header.stamp = Time(sec=first + number, nanosec=500_000_000)
        stamp = Time(sec=first + number, nanosec=500_000_000 + shift_ns)
        frames.append((image, cloud(Header(frame_id='camera', stamp=stamp))))
    return frames


@pytest.fixture(scope='module')
def layer_inboxes(image: Publisher, peer: Peer) -> Iterator[tuple[Publisher, list[Inbox]]]:
    """Subscribe to label, confidence and cloud as the layer does; give the cloud's publisher."""
    inboxes = [peer.listen(kind, topic, SENSOR_DATA) for topic, kind in LAYER_TOPICS.items()]
    points = peer.advertise(PointCloud2, '/points')
    peer.connect(image, street_image, *inboxes[:2])
    peer.connect(points, lambda: cloud(street_image().header), inboxes[2])
    yield points, inboxes
    for inbox in inboxes:
        peer.close_inbox(inbox)
    peer.node.destroy_publisher(points)


@pytest.mark.parametrize(('shift_ns', 'tolerance_ns'), [(0, 0), (40_000_000, 100_000_000)],
                         ids=['exact time', 'approximate time'])
def test_each_frame_passes_the_layers_checks(
        image: Publisher, peer: Peer, segmenter: Segmenter, shift_ns: int, tolerance_ns: int,
        layer_inboxes: tuple[Publisher, list[Inbox]]) -> None:
    """Label, confidence and cloud pair, are of one size and read by one index."""
    points, inboxes = layer_inboxes
    for inbox in inboxes:
        inbox.clear()
    for sent, organised in drive_frames(shift_ns):
        points.publish(organised)
        peer.ask(image, sent, *inboxes[:2])
    peer.wait_for(lambda: all(inboxes) and len(pairs(tolerance_ns, *inboxes)) == FRAMES,
                  'all triples')
    assert len(pairs(0, *inboxes)) == (0 if shift_ns else FRAMES)
    expected = segmenter(STREET)
    assert len(np.unique(expected.label)) == 3  # else the comparison would say little
    for mask, certainty, organised in pairs(tolerance_ns, *inboxes):
        assert mask.width * mask.height == organised.width * organised.height
        assert len(mask.data) >= mask.width * mask.height
        assert len(certainty.data) >= mask.width * mask.height  # which the layer does not check
        index = np.arange(mask.width * mask.height)  # v * width + u, whatever the step
        ids = np.frombuffer(mask.data, np.uint8)[index]
        np.testing.assert_array_equal(ids, expected.label.ravel())
        np.testing.assert_array_equal(np.frombuffer(certainty.data, np.uint8)[index],
                                      expected.confidence.ravel())
        assert set(ids) <= set(range(len(segmenter.info.labels)))


@pytest.mark.parametrize('shift_ns', [0, 40_000_000], ids=['exact time', 'approximate time'])
def test_message_filters_pairs_each_frame(image: Publisher, peer: Peer, shift_ns: int) -> None:
    message_filters = pytest.importorskip(
        'message_filters', reason='message_filters comes with a ROS installation alone')
    filters = [message_filters.Subscriber(peer.node, kind, topic, qos_profile=SENSOR_DATA)
               for topic, kind in LAYER_TOPICS.items()]
    synchronizer = (message_filters.ApproximateTimeSynchronizer(filters, 1000, slop=0.1)
                    if shift_ns else message_filters.TimeSynchronizer(filters, 1000))
    triples: list[tuple] = []
    synchronizer.registerCallback(lambda *messages: triples.append(messages))
    points = peer.advertise(PointCloud2, '/points')

    def send(sent: Image, organised: PointCloud2) -> None:
        points.publish(organised)
        image.publish(sent)

    def connected() -> bool:
        probe = street_image()
        send(probe, cloud(probe.header))
        peer.spin(PROBE_PERIOD_S, until=lambda: bool(triples))
        return bool(triples)

    try:
        peer.wait_for(connected, 'the first triple')
        for sent, organised in drive_frames(shift_ns):
            send(sent, organised)
            mask, certainty, found = peer.wait_for(
                lambda: [triple for triple in triples if triple[0].header == sent.header],
                'the triple of a frame')[0]
            assert mask.header == certainty.header and found.header == organised.header
    finally:
        for subscriber in filters:
            peer.node.destroy_subscription(subscriber.sub)
        peer.node.destroy_publisher(points)


def test_a_layer_that_comes_late_gets_the_names(image: Publisher, peer: Peer,
                                                segmenter: Segmenter) -> None:
    messages = pytest.importorskip('vision_msgs.msg', reason='vision_msgs has no wheel')
    info, = peer.wait_for(lambda box=peer.listen(
        messages.LabelInfo, '/segmentation/label_info', LATCHED): box, 'the names')
    assert [(item.class_id, item.class_name) for item in info.class_map] == [
        *enumerate(segmenter.info.labels.names)]


def outputs(peer: Peer) -> dict[str, str]:
    """Return the type of each topic that the node publishes for an image."""
    prefix = '/segmentation/'
    return {name.removeprefix(prefix): types[0] for name, types in
            peer.node.get_publisher_names_and_types_by_node('segret', '/')
            if name.startswith(prefix) and not name.endswith('/label_info')}


def message_type(name: str) -> type:
    """Return the class of a type such as `sensor_msgs/msg/Image`."""
    package, _, kind = name.split('/')
    return getattr(import_module(f'{package}.msg'), kind)


@pytest.fixture(scope='module')
def all_outputs(image: Publisher, peer: Peer) -> dict[str, Inbox]:
    """Return the inbox of every topic that the node publishes for an image."""
    camera_info = peer.advertise(CameraInfo, '/camera_info', ALL)
    inboxes = {name: peer.listen(message_type(kind), f'/segmentation/{name}')
               for name, kind in outputs(peer).items()}

    def probe() -> Image:
        camera_info.publish(CameraInfo(width=SIZE[1], height=SIZE[0]))
        return street_image()

    peer.connect(image, probe, *inboxes.values())
    return inboxes


def test_every_output_is_listened_to(all_outputs: dict[str, Inbox]) -> None:
    assert BY_IMAGE <= all_outputs.keys()


@pytest.mark.parametrize('nanosec', [0, 1, 536_870_913, 999_999_999])
@pytest.mark.parametrize('sec', [0, 1, 1_700_000_000, 2_147_483_647])
def test_a_header_comes_out_bit_for_bit_on_every_output(
        image: Publisher, peer: Peer, all_outputs: dict[str, Inbox], sec: int,
        nanosec: int) -> None:
    """At 1.7e9 s a double is off by up to 119 ns: a way through float seconds shows."""
    sent = street_image()
    sent.header.stamp = Time(sec=sec, nanosec=nanosec)
    sent.header.frame_id = 'camera/ä' if nanosec else ''
    answers = peer.ask(image, sent, *all_outputs.values())
    expected = serialize_message(sent.header)
    for name, message in zip(all_outputs, answers):
        assert serialize_message(message.header) == expected, name
