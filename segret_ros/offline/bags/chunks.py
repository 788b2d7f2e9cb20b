# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""What MCAP and ROS 1 files have in common: chunks of messages, each followed by its index."""

from abc import ABC, abstractmethod
from binascii import crc32
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
import re
import struct
from typing import ClassVar, NamedTuple

import numpy as np
from segret_ros.offline.bags.compression import CompressionError, decompress, decompress_start
from segret_ros.offline.bags.storage import Channel, Message, NOTHING, Report, Selection

BLOCK = 2 ** 20  # bytes that are searched at once
CHUNK_START_SIZE = 64  # bytes that `ChunkedFile.CHUNK_START` matches at most


class Record(NamedTuple):
    """
    A record, and the start and end of its content, which may be cut.

    :param message: channel and time, for a message.
    :param fields: of the header, in ROS 1.
    """

    kind: int
    start: int
    end: int
    message: tuple[int, int] | None = None
    fields: dict[bytes, bytes] = {}


@dataclass(frozen=True)
class Chunk:
    """
    A run of messages, usually compressed.

    :param position: byte of the file where its record begins.
    :param start, end: bytes of its compressed data; the end may be beyond that of a cut file.
    :param size: bytes when decompressed; None if the recorder had not written it yet.
    :param checksum: CRC32 of its content; 0 for none.
    :param times: (messages,) int64 nanoseconds by channel, from the index that follows; empty if
        that is cut.
    """

    position: int
    start: int
    end: int
    compression: str
    size: int | None
    checksum: int = 0
    times: dict[int, np.ndarray] = field(default_factory=dict)


class ChunkedFile(ABC):
    """
    Reads a storage file record by record, without its index; raises no error but OSError.

    One chunk or message is held at a time. A chunk is read as a whole, if it holds selected
    messages. Of one that is cut by the end of the file, the part that is there is read; a corrupt
    one is skipped. After a damaged record, reading resumes at the next chunk.

    :cvar END: what a whole file ends with.
    :cvar CHUNK_START: matches the start of a chunk's record, as a lookahead.
    :cvar LONGEST_HEAD: bytes that are enough to know a record, and a message's channel and time.
    :cvar CHUNK, INDEX: kinds of a chunk's record and of those of its index, which follow it.
    :cvar DEFINITIONS: kinds that `_define` takes.
    :cvar IN_CHUNK: kinds that a chunk may hold.
    :cvar LAST: kinds that come after all messages.
    :ivar channels: by id; complete after `survey`.
    :ivar start_ns: time of the first message, or None; known after `survey`.
    """

    MAGIC: ClassVar[bytes]
    END: ClassVar[bytes] = b''
    CHUNK_START: ClassVar[re.Pattern[bytes]]
    LONGEST_HEAD: ClassVar[int]
    CHUNK: ClassVar[int]
    INDEX: ClassVar[int]
    DEFINITIONS: ClassVar[frozenset[int]]
    IN_CHUNK: ClassVar[frozenset[int]]
    LAST: ClassVar[frozenset[int]]

    def __init__(self, path: Path) -> None:
        self.path = path
        self.channels: dict[int, Channel] = {}
        self.start_ns: int | None = None
        self._size = path.stat().st_size
        self._file = path.open('rb', buffering=2 ** 16)
        self._strays: Counter[int] = Counter()  # messages of unknown channels

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def survey(self) -> bool:
        """Find channels and start time; return whether the file has a usable index."""
        if self._read_summary():
            return True
        for item in self._items(NOTHING, Report()):
            if not isinstance(item, Chunk):
                continue
            if item.times and item.times.keys() <= self.channels.keys():
                self._start_at(min(int(times.min()) for times in item.times.values()))
            else:
                list(self._chunk_messages(item, NOTHING, Report()))
        return False

    def messages(self, selection: Selection, report: Report) -> Iterator[Message]:
        """Yield what can be read and report what can't; call `survey` first."""
        self._strays.clear()
        for item in self._items(selection, report):
            if not isinstance(item, Chunk):
                yield item
            elif not item.times or self._count(item, selection):
                yield from self._chunk_messages(item, selection, report)
        for channel_id, count in self._strays.items():
            report.add(self.path.name, f'the record that names the topic of channel {channel_id} '
                                       'is lost, and so are its messages', count)

    @abstractmethod
    def _read_summary(self) -> bool:
        """Read channels and start time from the file's index; return whether it is usable."""

    @abstractmethod
    def _record(self, data: bytes, position: int) -> Record | None:
        """Return the record that begins at a byte; None if it is malformed or its head is cut."""

    @abstractmethod
    def _chunk_at(self, position: int) -> Chunk | None:
        """Return the chunk whose record begins at a byte; None if there is no valid one."""

    @abstractmethod
    def _index_entries(self, record: Record, content: bytes) -> tuple[int, np.ndarray]:
        """
        Return a channel and the times of its messages from a record of a chunk's index.

        :raises struct.error, ValueError: for a malformed record.
        """

    @abstractmethod
    def _define(self, record: Record, content: bytes) -> None:
        """Add what a record says of channels; a malformed one adds nothing."""

    def _items(self, selection: Selection, report: Report) -> Iterator[Chunk | Message]:
        """Yield the chunks, and the selected messages outside of chunks."""
        position = previous = len(self.MAGIC)
        while position < self._size:
            chunk, record = self._chunk_at(position), self._record_at(position)
            if chunk:
                yield chunk
                if chunk.end > self._size or chunk.size is None:
                    return
                end = chunk.end
            elif not record or record.kind == self.CHUNK or record.end > self._size:
                end = self._skip_gap(position, previous + 1, selection, report)
                if end == self._size:
                    return
            elif record.kind in self.LAST:
                if self._read(self._size - len(self.END), self._size) != self.END:
                    report.add(self._place(self._size), 'the index at the end of the file is cut; '
                                                        'no message is')
                return
            else:
                if message := self._take(record, self._read, selection):
                    yield message
                end = record.end
            position, previous = end, position
        report.add(self._place(self._size), 'the file ends without an index: the recorder was '
                                            'killed or the file is cut')

    def _take(self, record: Record, read: Callable[[int, int], bytes],
              selection: Selection) -> Message | None:
        """Return a record's message, if it is selected; take note of a definition."""
        if record.message:
            channel_id, time_ns = record.message
            self._start_at(time_ns)
            channel = self.channels.get(channel_id)
            if channel is None:
                self._strays[channel_id] += selection.start_ns <= time_ns < selection.stop_ns
            elif selection.wants(channel, time_ns):
                return channel, time_ns, read(record.start, record.end)
        elif record.kind in self.DEFINITIONS:
            self._define(record, read(record.start, record.end))
        return None

    def _read(self, start: int, end: int) -> bytes:
        """Return bytes of the file, fewer at its end, none outside of it."""
        end = min(end, self._size)
        if not 0 <= start < end:
            return b''
        self._file.seek(start)
        return self._file.read(end - start)

    def _record_at(self, position: int) -> Record | None:
        record = self._record(self._read(position, position + self.LONGEST_HEAD), 0)
        return record and record._replace(start=position + record.start, end=position + record.end)

    def _times(self, position: int) -> dict[int, np.ndarray]:
        """Return the times in the index that begins at a byte; nothing if it is cut."""
        times: dict[int, np.ndarray] = {}
        while record := self._record_at(position):
            if record.kind != self.INDEX:
                return times
            try:
                channel_id, entries = self._index_entries(
                    record, self._read(record.start, record.end))
            except (struct.error, ValueError):
                break
            if len(entries):
                times[channel_id] = entries
            position = record.end
        return {}

    def _chunk_messages(self, chunk: Chunk, selection: Selection,
                        report: Report) -> Iterator[Message]:
        raw = self._read(chunk.start, chunk.end)
        is_cut = chunk.end > self._size or chunk.size is None
        try:
            data = (decompress_start if is_cut else decompress)(raw, chunk.compression)
            if not is_cut:
                _check(data, chunk)
        except CompressionError as error:
            report.add(self._place(chunk.position), f'a chunk is left out: {error}',
                       self._count(chunk, selection))
            return
        yielded = position = 0
        while (record := self._record(data, position)) and record.kind in self.IN_CHUNK \
                and record.end <= len(data):
            if message := self._take(record, lambda start, end: data[start:end], selection):
                yielded += 1
                yield message
            position = record.end
        if is_cut:
            report.add(self._place(chunk.position), 'the file ends inside a chunk',
                       self._is_wanted(record, selection))
        elif position < len(data):
            report.add(self._place(chunk.position), f'a chunk is damaged from byte {position} of '
                       'its content on', max(0, self._count(chunk, selection) - yielded))

    def _count(self, chunk: Chunk, selection: Selection) -> int:
        """Count the messages of a chunk that are or may be selected, by its index."""
        return sum(int(np.count_nonzero((selection.start_ns <= times)
                                        & (times < selection.stop_ns)))
                   for channel_id, times in chunk.times.items()
                   if channel_id not in self.channels
                   or self.channels[channel_id].topic in selection.topics)

    def _is_wanted(self, record: Record | None, selection: Selection) -> bool:
        """Return whether a cut record is a selected message."""
        if not record or not record.message:
            return False
        channel_id, time_ns = record.message
        return channel_id in self.channels and selection.wants(self.channels[channel_id], time_ns)

    def _start_at(self, time_ns: int) -> None:
        self.start_ns = time_ns if self.start_ns is None else min(time_ns, self.start_ns)

    def _skip_gap(self, position: int, search_from: int, selection: Selection,
                  report: Report) -> int:
        """Report a damaged record; return the byte of the next chunk, or the file's end."""
        following = self._next_chunk(search_from)
        if following == self._size:
            report.add(self._place(position), 'the file is cut or damaged here: nothing after it '
                       'can be read', self._is_wanted(self._record_at(position), selection))
        else:
            report.add(self._place(position), f'{following - position} bytes are damaged')
        return following

    def _next_chunk(self, position: int) -> int:
        while position < self._size:
            block = self._read(position, position + BLOCK + CHUNK_START_SIZE)
            for match in self.CHUNK_START.finditer(block):
                if match.start() < BLOCK and self._chunk_at(position + match.start()):
                    return position + match.start()
            position += BLOCK
        return self._size

    def _place(self, position: int) -> str:
        return f'{self.path.name}, byte {position}'


def _check(data: bytes, chunk: Chunk) -> None:
    if len(data) != chunk.size:
        raise CompressionError(f'it holds {len(data)} bytes and not {chunk.size}')
    if chunk.checksum and crc32(data) != chunk.checksum:
        raise CompressionError('checksum mismatch')
