# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Each fault of a bag is reported with its topic and the way out, and no other."""

from collections.abc import Callable, Iterable
from pathlib import Path

import cv2
from label_bags import (
    camera_info,
    CompressedImage,
    CONFIDENCE,
    Drive,
    FIRST_NS,
    FRAMES,
    header,
    HEIGHT,
    IMAGE,
    image,
    LABEL,
    LABEL_INFO,
    label_info,
    LabelInfo,
    NAMES,
    PERIOD_NS,
    qos,
    sound_drive,
    VisionClass,
    WIDTH,
)
import numpy as np
import pytest
from rosbags.rosbag2 import StoragePlugin
from segret_ros.offline.contract.observation import Finding, observe_bag, seconds
from segret_ros.offline.contract.rules import check, compare_stamps

SMALL = np.zeros((HEIGHT, WIDTH - 2), np.uint8)


def findings(drive: Drive, path: Path, consumer: str = 'nav2') -> list[Finding]:
    """Return the findings in a drive's bag that are not ok."""
    bag = drive.write(path / 'bag')
    return [finding for finding in check(observe_bag(bag, LABEL), consumer)
            if finding.level != 'ok']


def shift(drive: Drive, by_ns: int, *topics: str, numbers: Iterable[int] = range(FRAMES)) -> None:
    for topic in topics:
        for number in numbers:
            drive.change(topic, number)(header=header(FIRST_NS + number * PERIOD_NS + by_ns))


def resize(drive: Drive, *topics: str) -> None:
    for topic in topics:
        drive.messages[topic] = [image(SMALL, FIRST_NS + number * PERIOD_NS, 'mono8')
                                 for number in range(FRAMES)]


def pad(drive: Drive, topic: str, padding: int) -> None:
    message = drive.messages[topic][-1]
    rows = np.pad(message.data.reshape(HEIGHT, WIDTH), ((0, 0), (0, padding)))
    drive.change(topic, -1)(step=WIDTH + padding, data=rows.reshape(-1))


def offer(drive: Drive, topic: str, reliability: str, durability: str = 'VOLATILE') -> None:
    drive.offers[topic] = [qos(reliability, durability)]


def name_classes(drive: Drive, *classes: tuple[int, str]) -> None:
    drive.messages[LABEL_INFO] = [LabelInfo(
        header(FIRST_NS), [VisionClass(*item) for item in classes], 0.0)]


@pytest.mark.parametrize('consumer', ['nav2', 'mono8'])
@pytest.mark.parametrize('plugin', list(StoragePlugin))
def test_a_sound_bag_is_ok(tmp_path: Path, plugin: StoragePlugin, consumer: str) -> None:
    bag = sound_drive().write(tmp_path / 'bag', plugin)
    found = check(observe_bag(bag, LABEL), consumer)
    assert {finding.level for finding in found} == {'ok'}
    topics = {'mono8': {LABEL}, 'nav2': {LABEL, CONFIDENCE, LABEL_INFO}}[consumer]
    assert {finding.topic for finding in found} == topics


# What spoils a drive, with the topic and a part of the text of the one finding.
ERRORS = [
    (lambda drive: drive.change(LABEL, 2)(encoding='8UC1'), LABEL,
     "encoding is '8UC1': one byte a pixel is read"),
    (lambda drive: drive.change(CONFIDENCE)(encoding='mono16', step=2 * WIDTH), CONFIDENCE,
     "encoding is 'mono16'"),
    (lambda drive: pad(drive, LABEL, 4), LABEL,
     'step is 20 for rows of 16 pixels: padding is read as pixels'),
    (lambda drive: drive.change(CONFIDENCE, 1)(data=np.zeros(100, np.uint8)), CONFIDENCE,
     '100 bytes for 12 x 16 pixels: publish height x step bytes'),
    (lambda drive: resize(drive, LABEL, CONFIDENCE), LABEL,
     f'12 x 14 pixels, but {IMAGE} is 12 x 16'),
    (lambda drive: resize(drive, CONFIDENCE), CONFIDENCE,
     f'12 x 14 pixels, but {LABEL} is 12 x 16'),
    (lambda drive: drive.messages.pop(CONFIDENCE), CONFIDENCE, 'no such topic in'),
    (lambda drive: drive.messages.pop(LABEL_INFO), LABEL_INFO, 'install vision_msgs on the node'),
    (lambda drive: drive.messages.update({LABEL_INFO: drive.messages[IMAGE]}), LABEL_INFO,
     'is of type sensor_msgs/msg/Image: the layer takes vision_msgs/msg/LabelInfo'),
    (lambda drive: offer(drive, LABEL_INFO, 'RELIABLE'), LABEL_INFO,
     'offered as reliable, volatile: the layer subscribes reliable and transient local'),
    (lambda drive: offer(drive, LABEL_INFO, 'BEST_EFFORT', 'TRANSIENT_LOCAL'), LABEL_INFO,
     'offered as best effort, transient local'),
    (lambda drive: drive.messages.update({LABEL_INFO: [label_info(*NAMES[:1])]}), LABEL_INFO,
     'no name for what the labels hold, 1, 2: '),
    (name_classes, LABEL_INFO, 'its class map is empty'),
    (lambda drive: name_classes(drive, *enumerate(NAMES), (256, 'sky')), LABEL_INFO,
     "class 'sky' has id 256: labels are 8 bits wide"),
    (lambda drive: name_classes(drive, *enumerate(NAMES), (2, 'bush')), LABEL_INFO,
     'class id 2 occurs 2 times'),
    (lambda drive: name_classes(drive, *enumerate(NAMES), (3, 'road')), LABEL_INFO,
     "class name 'road' occurs 2 times"),
    *((lambda drive, number=number, by_ns=by_ns: shift(drive, by_ns, CONFIDENCE, numbers=[number]),
       LABEL, f'1 ns off {seconds(FIRST_NS + number * PERIOD_NS + by_ns)} of {CONFIDENCE} '
              f'(1 of {FRAMES} messages)')
      for number in (0, 2, FRAMES - 1) for by_ns in (-1, 1)),
    (lambda drive: shift(drive, 3600 * 10**9, LABEL, CONFIDENCE), LABEL,
     f'no stamp is one of {IMAGE}'),
]
MONO8_ERRORS = [
    (lambda drive: shift(drive, 1, LABEL, CONFIDENCE, numbers=[3]),
     f'is 1 ns off {seconds(FIRST_NS + 3 * PERIOD_NS)} of {IMAGE}'),
    (lambda drive: shift(drive, -PERIOD_NS, LABEL, numbers=[3]), 'stamps must increase'),
    (lambda drive: offer(drive, LABEL, 'BEST_EFFORT'), 'offered as best effort'),
]
WARNINGS = [
    (lambda drive: drive.messages[CONFIDENCE].pop(2),
     f'1 of {FRAMES} messages have no message of equal stamp on {CONFIDENCE}'),
    (lambda drive: offer(drive, LABEL, 'BEST_EFFORT'), 'offered as best effort'),
    (lambda drive: drive.messages.pop(IMAGE), 'with --camera-topic'),
]


@pytest.mark.parametrize(('consumer', 'level', 'spoil', 'topic', 'text'), [
    *(('nav2', 'error', *row) for row in ERRORS),
    *(('mono8', 'error', spoil, LABEL, text) for spoil, text in MONO8_ERRORS),
    *(('nav2', 'warning', spoil, LABEL, text) for spoil, text in WARNINGS)])
def test_a_fault_is_the_one_finding(
        tmp_path: Path, consumer: str, level: str, spoil: Callable[[Drive], object], topic: str,
        text: str) -> None:
    drive = sound_drive()
    spoil(drive)
    found, = findings(drive, tmp_path, consumer)
    assert (found.level, found.topic) == (level, topic)
    assert text in found.text


def test_frames_that_the_node_dropped_are_no_fault(tmp_path: Path) -> None:
    drive = sound_drive()
    for topic in (LABEL, CONFIDENCE):
        del drive.messages[topic][1:3]
    assert findings(drive, tmp_path) == []


def test_a_qos_that_is_not_recorded_is_a_warning(tmp_path: Path) -> None:
    drive = sound_drive()
    drive.offers = {}
    found = findings(drive, tmp_path)
    assert [(finding.level, finding.topic) for finding in found] == [
        ('warning', topic) for topic in (LABEL, CONFIDENCE, LABEL_INFO)]
    assert all('the bag has none recorded' in finding.text for finding in found)


@pytest.mark.parametrize('content', [b'', b'\xff\xd8\xff no more'])
def test_a_damaged_camera_image_is_a_warning(tmp_path: Path, content: bytes) -> None:
    drive = sound_drive()
    jpeg = cv2.imencode('.jpg', np.zeros((HEIGHT, WIDTH, 3), np.uint8))[1]
    drive.messages[f'{IMAGE}/compressed'] = [CompressedImage(message.header, 'jpeg', jpeg)
                                             for message in drive.messages.pop(IMAGE)]
    assert findings(drive, tmp_path) == []
    drive.change(f'{IMAGE}/compressed', 2)(data=np.frombuffer(content, np.uint8))
    (tmp_path / 'damaged').mkdir()
    found, = findings(drive, tmp_path / 'damaged')
    assert (found.level, found.topic) == ('warning', f'{IMAGE}/compressed')
    assert f'1 of {FRAMES} messages are damaged' in found.text


def test_camera_info_stands_in_for_the_image(tmp_path: Path) -> None:
    drive = sound_drive()
    drive.messages['/front/camera_info'] = [
        camera_info(message.header) for message in drive.messages.pop(IMAGE)]
    assert findings(drive, tmp_path) == []
    shift(drive, 5, '/front/camera_info', numbers=[2])
    (tmp_path / 'shifted').mkdir()
    found = findings(drive, tmp_path / 'shifted', 'mono8')[0]
    assert 'is 5 ns off' in found.text and '/front/camera_info' in found.text


def test_stamps_before_and_after_the_others_are_left_out() -> None:
    others = [1000, 2000, 3000]
    assert seconds(FIRST_NS) == '1700000000.999999937'
    assert compare_stamps([0, 1000, 2000, 3000, 4000], others) == (3, [], [])
    assert compare_stamps([1499, 2501], others) == (0, [(1499, 1000), (2501, 3000)], [])
    assert compare_stamps([1500], others) == (0, [], [1500])


def test_a_broken_message_is_counted_and_the_rest_checked(tmp_path: Path) -> None:
    bag = sound_drive().write(tmp_path / 'bag')
    file = bag / 'bag.mcap'
    whole = file.read_bytes()
    encoding = whole.index(b'mono8', whole.index(b'mono8') + 1) - 4  # of the second label
    file.write_bytes(whole[:encoding] + b'\xff' * 4 + whole[encoding + 4:])
    found = check(observe_bag(bag, LABEL), 'mono8')
    assert [finding.level for finding in found] == ['ok'] * 4 + ['warning']
    assert found[0].text.startswith(f'{FRAMES - 1} messages, mono8')
    assert found[-1].topic.startswith(f'bag.mcap, {LABEL}, first at ')
    assert found[-1].text.startswith("not checked (1 message): messages can't be deserialised")


@pytest.mark.parametrize('plugin', list(StoragePlugin))
def test_a_cut_bag_is_checked_as_far_as_it_goes(tmp_path: Path, plugin: StoragePlugin) -> None:
    bag = sound_drive().write(tmp_path / 'bag', plugin)
    file = next(path for path in bag.iterdir() if path.suffix != '.yaml')
    whole = file.read_bytes()
    file.write_bytes(whole[:whole.rindex(b'mono8')])  # in the last message, wherever it lies
    found = check(observe_bag(bag, LABEL), 'nav2')
    levels = [finding.level for finding in found]
    assert 'ok' in levels and 'error' not in levels and levels[-1] == 'warning'
    assert found[-1].text.startswith('not checked')
