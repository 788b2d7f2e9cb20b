# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""What the node answers to an image, over DDS from its own process."""

from collections.abc import Iterator
from dataclasses import dataclass
import json
from pathlib import Path

from diagnostic_msgs.msg import DiagnosticArray
from live_node import (
    ALL,
    Diagnostics,
    image_message,
    Inbox,
    new_header,
    Peer,
    pixels_of,
    running_node,
    STREET,
    street,
    street_image,
    values_of,
)
import numpy as np
from pixel_layouts import LAYOUTS, raw_image
import pytest
from rclpy.publisher import Publisher
from rclpy.time import Time
from segret_ros.images.codec import decode_image
from segret_ros.inference import Segmenter
from sensor_msgs.msg import CameraInfo, Image

SIZE = (45, 61)


@dataclass
class Topics:
    """All topics of the node's one camera, seen from outside."""

    peer: Peer
    image: Publisher
    camera_info: Publisher
    label: Inbox
    confidence: Inbox
    color: Inbox
    overlay: Inbox
    info: Inbox
    status: Inbox

    def ask(self, frame: Image, *outputs: str) -> list:
        """Return the outputs with the frame's stamp."""
        return self.peer.ask(self.image, frame, *(getattr(self, name) for name in outputs))


@pytest.fixture(scope='module')
def topics(model_file: Path, tmp_path_factory: pytest.TempPathFactory,
           peer: Peer) -> Iterator[Topics]:
    """Yield the topics of a node that runs and has answered on each once."""
    with running_node(tmp_path_factory.mktemp('node'), model=str(model_file), overlay_alpha=0.25,
                      frozen_frames=0):
        images = [peer.listen(Image, f'/segmentation/{name}')
                  for name in ('label', 'confidence', 'color', 'overlay')]
        topics = Topics(peer, peer.advertise(Image, '/image'),
                        peer.advertise(CameraInfo, '/camera_info'), *images,
                        peer.listen(CameraInfo, '/segmentation/camera_info'),
                        peer.listen(DiagnosticArray, '/segmentation/status'))

        def probe() -> Image:
            topics.camera_info.publish(CameraInfo(
                header=new_header(), width=SIZE[1], height=SIZE[0],
                k=[float(n) for n in range(9)]))
            return street_image()

        peer.connect(topics.image, probe, *images, topics.info, topics.status)
        yield topics


@pytest.mark.parametrize('output, encoding, channels', [
    ('label', 'mono8', 1), ('confidence', 'mono8', 1), ('color', 'rgb8', 3),
    ('overlay', 'rgb8', 3)])
def test_an_output_image_has_the_size_of_the_camera(topics: Topics, output: str, encoding: str,
                                                    channels: int) -> None:
    message, = topics.ask(street_image(), output)
    assert (message.height, message.width) == SIZE
    assert message.encoding == encoding
    assert message.is_bigendian == 0
    assert message.step == SIZE[1] * channels
    assert len(message.data) == SIZE[0] * message.step


@pytest.mark.parametrize('size', [(1, 1), (3, 200), (64, 96), (121, 159)])
def test_labels_fit_a_camera_of_any_size(topics: Topics, segmenter: Segmenter,
                                         size: tuple[int, int]) -> None:
    picture = street(*size)
    label, = topics.ask(image_message(picture, 'rgb8'), 'label')
    np.testing.assert_array_equal(pixels_of(label), segmenter(picture).label)


def test_color_is_the_palette_of_the_label(topics: Topics, segmenter: Segmenter) -> None:
    label, color = topics.ask(street_image(), 'label', 'color')
    palette = np.array(segmenter.info.labels.colors)
    np.testing.assert_array_equal(pixels_of(color), palette[pixels_of(label)])


def test_overlay_blends_the_color_into_the_image(topics: Topics) -> None:
    picture = STREET
    color, blended = topics.ask(image_message(picture, 'rgb8'), 'color', 'overlay')
    expected = 0.75 * picture + 0.25 * pixels_of(color)
    np.testing.assert_allclose(pixels_of(blended), expected, atol=0.51)


def test_camera_info_is_repeated_with_the_header_of_the_image(topics: Topics) -> None:
    frame = street_image()
    frame.header.frame_id = 'another_frame_than_that_of_camera_info'
    info, = topics.ask(frame, 'info')
    assert info.header == frame.header
    assert (info.height, info.width) == SIZE
    assert list(info.k) == list(range(9))


def test_status_reports_model_device_and_times(topics: Topics, segmenter: Segmenter) -> None:
    frame = street_image()
    age_s = 5
    frame.header.stamp = Time(
        nanoseconds=topics.peer.node.get_clock().now().nanoseconds - age_s * 10**9).to_msg()
    array, = topics.ask(frame, 'status')
    status, = array.status
    assert (status.name, status.level, status.message) == ('segmentation', b'\0', 'valid')
    values = values_of(status)
    assert values.pop('model') == status.hardware_id == segmenter.model.name
    assert values.pop('device') == segmenter.engine.device
    assert (values.pop('valid'), values.pop('reason')) == ('true', '')
    assert len(values.pop('model_hash')) == 12
    assert json.loads(values.pop('class_names')) == list(segmenter.info.labels.names)
    times = {key: float(value) for key, value in values.items()}
    assert set(times) == {'age_ms', 'waiting_ms', 'decode_ms', 'check_ms', 'resize_ms',
                          'network_ms', 'labels_ms', 'confidence_ms', 'publish_ms',
                          'processing_time_ms'}
    assert all(value >= 0 for value in times.values())
    assert times['age_ms'] > age_s * 1000 + times['processing_time_ms']
    parts = sum(times[f'{stage}_ms']
                for stage in ('decode', 'check', 'resize', 'network', 'labels', 'confidence',
                              'publish'))
    assert 0 < parts <= times['processing_time_ms'] + 0.01  # for the rounding of each


@pytest.mark.parametrize('padding', [0, 7])
@pytest.mark.parametrize('encoding', LAYOUTS)
def test_images_of_every_encoding_are_labelled(topics: Topics, segmenter: Segmenter,
                                               encoding: str, padding: int) -> None:
    fields = vars(raw_image(street(44, 60), encoding, padding))
    frame = Image(header=new_header(), **fields)
    label, = topics.ask(frame, 'label')
    np.testing.assert_array_equal(pixels_of(label), segmenter(decode_image(frame, 44 * 60)).label)


@pytest.mark.parametrize('change, problem', [
    ({'encoding': '32FC1'}, "encoding '32FC1' is not supported: send rgb8, bgr8"),
    ({'step': 3}, 'step is shorter than a row: it is 3, and 61 pixels of rgb8 take 183 bytes'),
    ({'width': 0}, 'the image has no pixels: its size is 45 x 0')])
def test_a_bad_frame_is_counted_and_the_next_is_labelled(
        topics: Topics, diagnostics: Diagnostics, change: dict[str, object], problem: str) -> None:
    before = diagnostics.counts('camera')
    bad = street_image()
    for name, value in change.items():
        setattr(bad, name, value)
    topics.image.publish(bad)
    after = topics.peer.wait_for(
        lambda: (now := diagnostics.counts('camera'))['received'] > before['received'] and now,
        'the count of the bad frame')
    assert {key: after[key] - before[key] for key in before if after[key] != before[key]} == {
        'received': 1, 'rejected': 1}
    values = values_of(diagnostics.newest('camera'))
    assert values['last_problem'].startswith(f'rejected: {problem}')
    kind = topics.status.of(bad.header.stamp)[0].status[0].message.partition(':')[0]
    assert f'1 x {kind}' in values['rejected_for']
    topics.ask(street_image(), 'label')
    assert not topics.label.of(bad.header.stamp)
    status, = topics.status.of(bad.header.stamp)[0].status
    assert status.level == status.WARN and status.message.startswith(problem)


def test_the_label_topic_is_offered_as_reliable(topics: Topics) -> None:
    endpoint, = topics.peer.node.get_publishers_info_by_topic('/segmentation/label')
    assert endpoint.qos_profile.reliability == ALL.reliability
