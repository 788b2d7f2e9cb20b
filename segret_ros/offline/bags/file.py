# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""One storage file: read by rosbags as long as that works, else record by record."""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
import os
from pathlib import Path
import tempfile
from urllib.parse import quote

from rosbags.rosbag1 import Reader as Ros1Reader
from rosbags.rosbag2 import Reader as Rosbag2Reader
from segret_ros.offline.bags import mcap, ros1, sqlite
from segret_ros.offline.bags.compression import decompress_file, ZSTD_MAGIC
from segret_ros.offline.bags.storage import (
    BagError,
    Channel,
    EARLIEST_NS,
    full_type_name,
    Message,
    Report,
    Salvage,
    Selection,
)

SUFFIXES = ('.mcap', '.db3', '.bag')
ZSTD_SUFFIX = '.zstd'  # after one of them: a rosbag2 file that is compressed as a whole
ACTIVE_SUFFIX = '.active'  # after `.bag`: the recorder of ROS 1 was killed


def _sqlite_reader(path: Path) -> Rosbag2Reader:
    """Return rosbags' reader, which puts the path into a URI unquoted: `#`, `?` and `%` too."""
    reader = Rosbag2Reader(path)
    reader.storage.path = Path(quote(os.fsencode(path)))  # type: ignore[attr-defined]
    return reader


@dataclass(frozen=True)
class Format:
    """A format of storage files, and the bytes that they begin with."""

    magic: bytes
    salvage: Callable[[Path], Salvage]
    library: Callable[[Path], Ros1Reader | Rosbag2Reader]


FORMATS = (Format(mcap.MAGIC, mcap.McapFile, Rosbag2Reader),
           Format(sqlite.MAGIC, sqlite.SqliteFile, _sqlite_reader),
           Format(ros1.MAGIC, ros1.Ros1File, Ros1Reader))


def is_storage_file(path: Path) -> bool:
    """Return whether a file may belong to a bag, by its name."""
    name = path.name.removesuffix(ZSTD_SUFFIX).removesuffix(ACTIVE_SUFFIX)
    return name.endswith(SUFFIXES)


def survey_file(path: Path) -> tuple[list[Channel], int | None]:
    """
    Return a storage file's channels and the time of its first message, None if it has none.

    :raises BagError: for another file.
    """
    with _plain(path, Report()) as plain:
        if plain.stat().st_size == 0 and is_storage_file(path):
            return [], None
        with closing(_format_of(plain, path).salvage(plain)) as salvage:
            salvage.survey()
            return list(salvage.channels.values()), salvage.start_ns


def last_time_ns(path: Path) -> int | None:
    """Return the time of a file's last message by its index; None if that can't be read."""
    try:
        with _format_of(path, path).library(path) as reader:
            return reader.end_time - 1 if reader.message_count else None
    except Exception:  # of damaged files it raises nearly every kind
        return None


def read_file(path: Path, selection: Selection, report: Report) -> Iterator[Message]:
    """
    Yield a file's selected messages and report what can't be read.

    They are in order of time as long as the file's index can be used, then in file order.

    :raises BagError: for another file.
    """
    with _plain(path, report) as plain:
        if plain.stat().st_size == 0:  # its recorder was killed early
            report.add(path.name, 'the file is empty')
            return
        file_format = _format_of(plain, path)
        with closing(file_format.salvage(plain)) as salvage:
            progress = _Progress()
            if salvage.survey():
                try:
                    for message in _library_messages(plain, file_format, selection, report):
                        progress.add(message)
                        yield message
                    return
                except Exception:  # of damaged files it raises nearly every kind
                    pass
            left = replace(selection, start_ns=max(selection.start_ns, progress.time_ns))
            for message in salvage.messages(left, report):
                if not progress.holds(message):
                    yield message


class _Progress:
    """Tracks the messages already yielded, in order of time."""

    def __init__(self) -> None:
        self.time_ns = EARLIEST_NS
        self._topics: Counter[str] = Counter()  # of the messages at that time

    def add(self, message: Message) -> None:
        channel, time_ns, _ = message
        if time_ns > self.time_ns:
            self.time_ns = time_ns
            self._topics.clear()
        self._topics[channel.topic] += time_ns == self.time_ns

    def holds(self, message: Message) -> bool:
        """Return whether a message was yielded; ask once for each, in file order."""
        channel, time_ns, _ = message
        if time_ns > self.time_ns or not self._topics[channel.topic]:
            return time_ns < self.time_ns
        self._topics[channel.topic] -= 1
        return True


def _library_messages(path: Path, file_format: Format, selection: Selection,
                      report: Report) -> Iterator[Message]:
    missing = 0
    with file_format.library(path) as reader:
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
        report.add(path.name, 'messages that its index counts are not in the file', missing)


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
                if not decompress_file(file, target):
                    report.add(path.name, 'the compressed file is cut or damaged: it is read up '
                                          f'to byte {target.tell()} of its content')
            yield plain


def _format_of(plain: Path, path: Path) -> Format:
    with plain.open('rb') as file:
        start = file.read(max(len(item.magic) for item in FORMATS))
    for item in FORMATS:
        if start.startswith(item.magic) or start and item.magic.startswith(start):
            return item
    raise BagError(f'{path}: no bag: it begins neither as MCAP, nor as SQLite, nor as a bag of '
                   'ROS 1 (version 2.0)')
