# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""The demo on a bag of one stamp, forbidden names and damage: nothing is lost without a word."""

from pathlib import Path

import cv2
from demo_command import messages, run_demo
import numpy as np
import pytest
from rosbags.rosbag2 import StoragePlugin, Writer
from segret_ros.files.share import default_model, share_directory
from segret_ros.images.codec import decode_compressed
from segret_ros.inference import Segmenter
from segret_ros.offline.bags import open_bag, TYPESTORE

FRAMES = 6
STEP = 20  # frames of the sample drive between two
SAMPLE = share_directory() / 'data' / 'sample_drive'
IMAGE, LABEL = '/camera-front/image_raw/compressed', '/camera-front/label/compressed'
TYPE, STRING = 'sensor_msgs/msg/CompressedImage', 'std_msgs/msg/String'
TYPES = TYPESTORE.types


def content(topic: str) -> list[np.ndarray]:
    return [message.data for message in messages(SAMPLE, topic)[::STEP]]


def serialized(kind: str, message: object) -> bytes:
    return bytes(TYPESTORE.serialize_cdr(message, kind))


def write_bag(path: Path) -> None:
    """Write images and labels whose stamps are 0, an unusable one of each, and broken messages."""
    header = TYPES['std_msgs/msg/Header'](TYPES['builtin_interfaces/msg/Time'](0, 0), 'lens')
    images, labels = content('/camera/image_raw/compressed'), content('/camera/label/compressed')
    labels[1] = labels[1][:0]
    labels[2] = cv2.imencode('.jpg', cv2.imdecode(labels[2], cv2.IMREAD_UNCHANGED))[1].ravel()
    images[5] = images[5][:50]
    hello = serialized(STRING, TYPES[STRING]('hello'))
    with Writer(path, version=9, storage_plugin=StoragePlugin.SQLITE3) as writer:
        strings = writer.add_connection(IMAGE, STRING, typestore=TYPESTORE)
        connections = [writer.add_connection(topic, TYPE, typestore=TYPESTORE)
                       for topic in (IMAGE, LABEL)]
        for number, files in enumerate(zip(images, labels)):
            time_ns = 10**18 + number * 100_000_000
            for connection, file in zip(connections, files):
                message = TYPES[TYPE](header, 'jpeg', file)
                writer.write(connection, time_ns, serialized(TYPE, message))
        writer.write(strings, time_ns + 1, hello)
        writer.write(connections[0], time_ns + 2, hello)


@pytest.fixture(scope='module')
def demo(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str, str]:
    """Run the demo; return its folder and what it printed."""
    folder = tmp_path_factory.mktemp('odd')
    write_bag(folder / 'odd drive')
    result = run_demo('--bag', folder / 'odd drive', '--output', folder / 'out')
    assert result.returncode == 1, result.stderr
    return folder / 'out', result.stdout, result.stderr


def test_every_image_of_one_stamp_has_its_own_label(demo: tuple[Path, str, str]) -> None:
    with open_bag(demo[0] / 'result') as bag:
        assert bag.renamed == {}
    labels = [message.data for message in messages(demo[0] / 'result',
                                                   '/camera_front/segmentation/label')]
    segmenter = Segmenter(default_model())
    message = TYPES[TYPE]
    assert len(labels) == FRAMES - 1
    for file, label in zip(content('/camera/image_raw/compressed'), labels):
        expected = segmenter(decode_compressed(message(None, 'jpeg', file), 10**6)).label
        assert (label.reshape(expected.shape) == expected).mean() > 0.999


def test_what_is_lost_is_reported_in_terminal_and_page(demo: tuple[Path, str, str]) -> None:
    output, text, errors = demo
    page = (output / 'report.html').read_text()
    assert f'frames in / out / dropped {FRAMES} / {FRAMES - 1} / 1' in ' '.join(text.split())
    assert f'1 of {FRAMES} frames have no label' in errors
    assert 50 <= float(text.split("drive's labels")[1].split('%')[0]) <= 100
    for words in ('is shown as /camera_front/image_raw/compressed',
                  '1 frame was not labelled: ', 'empty', 'lossy format',
                  f'messages are of type {STRING} on a topic of {TYPE}',
                  "messages can't be deserialised"):
        assert words in text, words
        assert words.replace("'", '&#39;') in page, words
