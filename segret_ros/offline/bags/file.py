# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""One storage file: read by rosbags as long as that works, else record by record."""

from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
import tempfile

from segret_ros.offline.bags.compression import decompress_stream, ZSTD_MAGIC
from segret_ros.offline.bags.mcap import McapFile
from segret_ros.offline.bags.ros1 import Ros1File
from segret_ros.offline.bags.sqlite import SqliteFile
from segret_ros.offline.bags.storage import (
    BagError,
    Channel,
    EARLIEST_NS,
    full_type_name,
    Message,
    Report,
    Selection,
)

SUFFIXES = ('.mcap', '.db3', '.bag')
ZSTD_SUFFIX = '.zstd'  # after one of them: a rosbag2 file that is compressed as a whole
ACTIVE_SUFFIX = '.active'  # after `.bag`: the recorder of ROS 1 was killed
FORMATS = (McapFile, SqliteFile, Ros1File)
StorageFile = McapFile | SqliteFile | Ros1File


def is_storage_file(path: Path) -> bool:
    """Return whether a file may belong to a bag, by its name."""
    name = path.name.removesuffix(ZSTD_SUFFIX).removesuffix(ACTIVE_SUFFIX)
    return name.endswith(SUFFIXES)


def survey_file(path: Path) -> tuple[list[Channel], int | None]:
    """
    Return a storage file's channels and the time of its first message, None if it has none.

    :raises BagError: for another file.
    """
    with _opened(path, Report()) as storage:
        if not storage:
            return [], None
        storage.survey()
        return list(storage.channels.values()), storage.start_ns


def last_time_ns(path: Path) -> int | None:
    """Return the time of a file's last message by its index; None if that can't be read."""
    try:
        with closing(_format_of(path, path)(path)) as storage, storage.library() as reader:
            return reader.end_time - 1 if reader.message_count else None
    except Exception:  # of damaged files it raises nearly every kind
        return None


def read_file(path: Path, selection: Selection, report: Report) -> Iterator[Message]:
    """
    Yield a file's selected messages and report what can't be read.

    They are in order of time as long as the file's index can be used, then in file order.

    :raises BagError: for another file.
    """
    with _opened(path, report) as storage:
        if not storage:  # its recorder was killed early
            report.add(path.name, 'the file is empty')
            return
        latest_ns = EARLIEST_NS
        topics: Counter[str] = Counter()  # of the messages of that time
        if storage.survey():
            try:
                for message in _library_messages(storage, selection, report):
                    channel, time_ns, _ = message
                    if time_ns > latest_ns:
                        latest_ns, topics = time_ns, Counter()
                    topics[channel.topic] += time_ns == latest_ns
                    yield message
                return
            except Exception:  # of damaged files it raises nearly every kind
                pass
        left = replace(selection, start_ns=max(selection.start_ns, latest_ns))
        for message in storage.messages(left, report):
            channel, time_ns, _ = message
            if time_ns == latest_ns and topics[channel.topic]:  # one that was already yielded
                topics[channel.topic] -= 1
            else:
                yield message


def _library_messages(storage: StorageFile, selection: Selection,
                      report: Report) -> Iterator[Message]:
    missing = 0
    with storage.library() as reader:
        connections = [item for item in reader.connections if item.topic in selection.topics]
        channels = {item.id: Channel(
            item.topic, full_type_name(item.msgtype),
            getattr(item.ext, 'serialization_format', 'ros1'), item.msgdef)
            for item in connections}
        if connections:
            for connection, time_ns, data in reader.messages(
                    connections, selection.start_ns, selection.stop_ns):
                missing -= 1
                yield channels[connection.id], time_ns, data
            missing += sum(item.msgcount for item in connections)
    if missing > 0 and selection.is_unbounded:
        report.add(storage.path.name, 'messages that its index counts are not in the file',
                   missing)


@contextmanager
def _opened(path: Path, report: Report) -> Iterator[StorageFile | None]:
    """Open a storage file, decompressed if it is compressed as a whole; None for an empty one."""
    with _plain(path, report) as plain:
        if plain.stat().st_size == 0 and is_storage_file(path):
            yield None
        else:
            with closing(_format_of(plain, path)(plain)) as storage:
                yield storage


@contextmanager
def _plain(path: Path, report: Report) -> Iterator[Path]:
    """Yield the path of a file that is not compressed as a whole: a temporary one if it is."""
    with path.open('rb') as file:
        if file.read(len(ZSTD_MAGIC)) != ZSTD_MAGIC:
            yield path
            return
        file.seek(0)
        with tempfile.TemporaryDirectory() as folder:
            plain = Path(folder) / path.name.removesuffix(ZSTD_SUFFIX)
            with plain.open('wb') as target:
                if not decompress_stream(file, target, 'zstd'):
                    report.add(path.name, 'the compressed file is cut or damaged: it is read up '
                                          f'to byte {target.tell()} of its content')
            yield plain


def _format_of(plain: Path, path: Path) -> type[StorageFile]:
    with plain.open('rb') as file:
        start = file.read(max(len(item.MAGIC) for item in FORMATS))
    for item in FORMATS:
        if start.startswith(item.MAGIC) or start and item.MAGIC.startswith(start):
            return item
    raise BagError(f'{path}: no bag: it begins neither as MCAP, nor as SQLite, nor as a bag of '
                   'ROS 1 (version 2.0)')
