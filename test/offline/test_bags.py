# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Bags are read and written as recorded, and what is missing is named."""

from pathlib import Path

import numpy as np
import pytest
from segret_ros.files.share import share_directory
from segret_ros.offline.bags import (
    BagError,
    BagWriter,
    decode_label,
    read_bag,
    serialize,
    stamp_ns,
    TYPESTORE,
)

CompressedImage = TYPESTORE.types['sensor_msgs/msg/CompressedImage']
Header = TYPESTORE.types['std_msgs/msg/Header']
Time = TYPESTORE.types['builtin_interfaces/msg/Time']
SAMPLE_DRIVE = share_directory() / 'data' / 'sample_drive'
IMAGE, LABEL = '/camera/image_raw/compressed', '/camera/label/compressed'


def compressed(second: int) -> object:
    """Give a message whose stamp is odd to the nanosecond."""
    return CompressedImage(Header(Time(second, 123_456_789), 'camera'), 'png',
                           np.arange(5, dtype=np.uint8))


def test_messages_come_back_as_written(tmp_path: Path) -> None:
    with BagWriter(tmp_path / 'bag') as writer:
        for second in (7, 8):
            writer.write(serialize('/a', second, compressed(second)))
        writer.write(serialize('/b', 9, compressed(9)))
    recorded = list(read_bag(tmp_path / 'bag', ['/a']))
    assert [(item.topic, item.time_ns) for item in recorded] == [('/a', 7), ('/a', 8)]
    assert stamp_ns(recorded[0].message().header) == 7_123_456_789
    assert recorded[0].message().data.tolist() == [0, 1, 2, 3, 4]


def test_a_wrong_topic_lists_the_right_ones(tmp_path: Path) -> None:
    with BagWriter(tmp_path / 'bag') as writer:
        writer.write(serialize('/a', 1, compressed(1)))
    with pytest.raises(BagError, match='no topic /c; it has /a'):
        list(read_bag(tmp_path / 'bag', ['/c']))


@pytest.mark.parametrize('content', [None, b'', b'no bag at all'])
def test_what_is_no_bag_is_named(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / 'drive.mcap'
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(BagError, match=str(path)):
        list(read_bag(path, ['/a']))


def test_a_label_must_be_a_grey_image() -> None:
    with pytest.raises(BagError, match="a label of 'png': not a readable image"):
        decode_label(compressed(1))


def test_the_sample_drive_is_labelled_and_stamped_at_15_hz() -> None:
    recorded = list(read_bag(SAMPLE_DRIVE, [IMAGE, LABEL]))
    stamps = {topic: [stamp_ns(item.message().header) for item in recorded if item.topic == topic]
              for topic in (IMAGE, LABEL)}
    assert len(stamps[IMAGE]) == 101
    assert stamps[IMAGE] == stamps[LABEL]
    assert np.allclose(np.diff(stamps[IMAGE]), 1e9 / 15, atol=1)
    label = decode_label(next(item for item in recorded if item.topic == LABEL).message())
    assert label.shape == (360, 480)
    assert set(np.unique(label)) <= {*range(11), 255}
