# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Memory does not grow with a bag, sound or damaged."""

from pathlib import Path
import tracemalloc

from bag_files import IMAGE, many, MCAP, mcap, MODES, ros1, rosbag2, SQLITE, storage_file
import pytest
from segret_ros.offline.bags import open_bag

FEW, MANY = 90, 900
BOUND = 300_000  # bytes: four images, and small against the 30 MB that are read more


def cut(path: Path) -> Path:
    """Take off a file's last bytes, and its metadata."""
    path.write_bytes(path.read_bytes()[:-1000])
    (path.parent / 'metadata.yaml').unlink(missing_ok=True)
    return path


KINDS = {
    'mcap': lambda path, messages: rosbag2(path, messages, MCAP, MODES['storage']),
    'sqlite': lambda path, messages: rosbag2(path, messages, SQLITE),
    'ros1': lambda path, messages: ros1(path.with_suffix('.bag'), 'lz4', messages).path,
    'cut mcap': lambda path, messages: cut(storage_file(rosbag2(path, messages, MCAP))),
    'cut sqlite': lambda path, messages: cut(storage_file(rosbag2(path, messages, SQLITE))),
    'cut ros1': lambda path, messages: cut(ros1(path.with_suffix('.bag'), 'lz4', messages).path),
    'no chunks': lambda path, messages: mcap(path.with_suffix('.mcap'), None, messages).path}


def read(path: Path) -> int:
    with open_bag(path) as bag:
        return sum(1 for _ in bag.messages([IMAGE]))


@pytest.mark.parametrize('kind', KINDS)
def test_a_bag_ten_times_as_long_takes_no_more_memory(tmp_path: Path, kind: str) -> None:
    peaks = []
    for count in (FEW, FEW, MANY):  # the first time loads what is loaded once
        path = KINDS[kind](tmp_path / f'drive_{len(peaks)}', many(count))
        tracemalloc.start()
        assert read(path) >= count // 2 - 2
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[2] < peaks[1] + BOUND
