# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Bags of every format give the same messages, and new ones are written."""

from pathlib import Path

from bag_files import (
    content,
    drive,
    FORMATS,
    IMAGE,
    LABEL,
    MCAP,
    ros1,
    rosbag2,
    split,
    SQLITE,
    TOPICS,
)
import numpy as np
import pytest
from segret_ros.files.share import share_directory
from segret_ros.offline.bags import (
    BagError,
    BagWriter,
    decode_label,
    open_bag,
    read_bag,
    serialize,
    stamp_ns,
    TYPESTORE,
)


@pytest.fixture(params=FORMATS)
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return FORMATS[request.param](tmp_path)


def test_every_format_yields_the_same_messages(path: Path) -> None:
    with open_bag(path) as bag:
        assert bag.topics == dict.fromkeys(TOPICS, 'sensor_msgs/msg/CompressedImage')
        assert (bag.start_ns, bag.stop_ns) == (drive()[0].time_ns, drive()[-1].time_ns)
        recorded = list(bag.messages(TOPICS))
        assert content(recorded) == content(drive())
        assert bag.damage == []
    assert recorded[0].message().header.frame_id == drive()[0].message().header.frame_id
    times = [item.time_ns for item in drive()]
    with open_bag(path) as bag:
        some = list(bag.messages([LABEL], times[3], times[9]))
        assert content(some) == content(
            item for item in drive()
            if item.topic == LABEL and times[3] <= item.time_ns < times[9])
        assert list(bag.messages([IMAGE], times[-1] + 1)) == []
        assert bag.damage == []


@pytest.mark.parametrize('kind', ['mcap', 'sqlite', 'ros1'])
def test_sound_bags_are_read_by_their_index_in_order_of_time(tmp_path: Path, kind: str) -> None:
    turned = drive()[::-1]
    path = ros1(tmp_path / 'drive.bag', 'lz4', turned).path if kind == 'ros1' else \
        rosbag2(tmp_path / 'drive', turned, MCAP if kind == 'mcap' else SQLITE)
    assert [item.time_ns for item in read_bag(path, TOPICS)] == \
        sorted(item.time_ns for item in drive())


def test_two_readings_at_once_are_independent(tmp_path: Path) -> None:
    with open_bag(split(tmp_path / 'drive')) as bag:
        pairs = list(zip(bag.messages([IMAGE]), bag.messages([LABEL])))
        left = bag.messages([IMAGE])
        next(left)
    assert [item for pair in pairs for item in pair] == list(drive())
    assert list(left) == []  # the bag is closed


def test_a_wrong_topic_lists_the_right_ones_at_once(tmp_path: Path) -> None:
    with open_bag(rosbag2(tmp_path / 'drive')) as bag, \
            pytest.raises(BagError, match=f'drive: no topic /c; it has {IMAGE}, {LABEL}'):
        bag.messages([IMAGE, '/c'])


def compressed(second: int) -> object:
    """Return a message whose stamp is odd to the nanosecond."""
    header = TYPESTORE.types['std_msgs/msg/Header'](
        TYPESTORE.types['builtin_interfaces/msg/Time'](second, 123_456_789), 'camera')
    return TYPESTORE.types['sensor_msgs/msg/CompressedImage'](header, 'png',
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


def test_a_label_must_be_a_grey_image() -> None:
    with pytest.raises(BagError, match="a label of 'png': not a readable image"):
        decode_label(compressed(1))


def test_the_sample_drive_is_labelled_and_stamped_at_15_hz() -> None:
    recorded = list(read_bag(share_directory() / 'data' / 'sample_drive', TOPICS))
    stamps = {topic: [stamp_ns(item.message().header) for item in recorded if item.topic == topic]
              for topic in TOPICS}
    assert len(stamps[IMAGE]) == 101
    assert stamps[IMAGE] == stamps[LABEL]
    assert np.allclose(np.diff(stamps[IMAGE]), 1e9 / 15, atol=1)
    label = decode_label(next(item for item in recorded if item.topic == LABEL).message())
    assert label.shape == (360, 480)
    assert set(np.unique(label)) <= {*range(11), 255}
