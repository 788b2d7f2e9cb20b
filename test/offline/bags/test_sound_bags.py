# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Bags of every format give the same messages."""

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
import pytest
from segret_ros.offline.bags import BagError, open_bag, read_bag


@pytest.fixture(params=FORMATS)
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return FORMATS[request.param](tmp_path)


def test_every_format_gives_the_same_messages(path: Path) -> None:
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
