# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Which files a bag consists of."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path, PurePath
import re

from segret_ros.files.yaml_file import read_yaml
from segret_ros.offline.bags.file import is_storage_file, ZSTD_SUFFIX
from segret_ros.offline.bags.storage import BagError, full_type_name, Report

METADATA = 'metadata.yaml'
ROS1_PLUGIN = 'rosbag_v2'  # with which rosbag2 reads bags of ROS 1


@dataclass(frozen=True)
class Metadata:
    """
    The content of rosbag2's metadata.yaml.

    :param files: names, in order of recording.
    :param topics: name, type, encoding and QoS of each; see `storage.Channel`.
    :param counts: messages by topic.
    :param start_ns, stop_ns: times of the first and of the last message; None for an empty bag.
    """

    files: list[str]
    topics: list[tuple[str, str, str, str | list]]
    counts: Counter[str]
    start_ns: int | None
    stop_ns: int | None


def read_metadata(folder: Path, report: Report) -> Metadata | None:
    """Read a bag's metadata; report missing or damaged ones and return None."""
    try:
        return _parse(read_yaml(folder / METADATA)['rosbag2_bagfile_information'])
    except FileNotFoundError:
        report.add(METADATA, 'the file is missing: storage files are read in order of their names')
    except (OSError, ValueError, KeyError, TypeError, AttributeError, OverflowError):
        report.add(METADATA, 'the file is damaged: storage files are read in order of their names')
    return None


def _parse(info: dict) -> Metadata:
    counts: Counter[str] = Counter()
    topics = []
    for entry in info['topics_with_message_count']:
        topic = entry['topic_metadata']
        counts[topic['name']] += int(entry['message_count'])
        encoding = _text(topic.get('serialization_format') or 'cdr')
        topics.append((_text(topic['name']), full_type_name(_text(topic['type'])),
                       'ros1' if encoding == ROS1_PLUGIN else encoding,
                       topic.get('offered_qos_profiles') or ''))
    start_ns = stop_ns = None
    if sum(counts.values()) != int(info['message_count']):
        raise ValueError('topics are missing')
    if info['message_count']:
        start_ns = int(info['starting_time']['nanoseconds_since_epoch'])
        stop_ns = start_ns + int(info['duration']['nanoseconds'])
    return Metadata([PurePath(name).name for name in info['relative_file_paths']], topics, counts,
                    start_ns, stop_ns)


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f'{value!r} is not a string')
    return value


def listed_files(folder: Path, metadata: Metadata, report: Report) -> list[Path]:
    """
    Return the files of a bag that its metadata name; report those that are missing.

    :raises BagError: when none of them is there.
    """
    found = []
    for name in metadata.files:
        # A recorder that is killed while it compresses leaves the other one.
        other = name.removesuffix(ZSTD_SUFFIX) if name.endswith(ZSTD_SUFFIX) \
            else name + ZSTD_SUFFIX
        there = [folder / item for item in (name, other) if (folder / item).is_file()]
        if there:
            found.append(there[0])
        else:
            report.add(name, f'the file is missing, {METADATA} names it')
    if not found:
        raise BagError(f'{folder}: no bag: {METADATA} names {", ".join(metadata.files) or "none"} '
                       'of which none is there; copy the storage files too')
    return found


def unlisted_files(folder: Path, metadata: Metadata | None) -> list[Path]:
    """
    Return the storage files of a folder that its metadata don't name, in natural order.

    With metadata, only those count that continue the numbering of the files named: a recorder
    that is killed leaves the metadata of the files before.
    """
    paths = sorted((path for path in folder.iterdir() if path.is_file() and is_storage_file(path)),
                   key=_natural)
    names = {path.name for path in paths}
    paths = [path for path in paths if path.name.removesuffix(ZSTD_SUFFIX) == path.name
             or path.name.removesuffix(ZSTD_SUFFIX) not in names]
    if metadata is None:
        return paths
    last = max((_series(name) for name in metadata.files), default=('', -1, ''))
    return [path for path in paths
            if _series(path.name)[::2] == last[::2] and _series(path.name)[1] > last[1]]


def _natural(path: Path) -> list[tuple[int, str]]:
    """Return a key that sorts drive_2 before drive_10."""
    return [(int(part), '') if part.isdigit() else (-1, part)
            for part in re.split(r'(\d+)', path.name)]


def _series(name: str) -> tuple[str, int, str]:
    """Return the name before the number of a split file, the number and what comes after."""
    match = re.fullmatch(r'(.*)_(\d+)(\.[a-z0-9]+)(?:\.zstd)?', name)
    return (match[1], int(match[2]), match[3]) if match else (name, -1, '')
