# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""What MCAP and ROS 1 files have in common: chunks of messages, each followed by its index."""

from abc import ABC, abstractmethod
from binascii import crc32
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
import re
from typing import ClassVar

import numpy as np
from segret_ros.offline.bags.compression import CompressionError, decompress, decompress_start
from segret_ros.offline.bags.storage import Channel, Message, NOTHING, Report, Selection

BLOCK = 2 ** 20  # bytes that are searched at once
CHUNK_START_SIZE = 64  # bytes that `ChunkedFile.CHUNK_START` matches at most


@dataclass(frozen=True)
class Chunk:
    """
    A run of messages, usually compressed.

    :param position: byte of the file where its record begins.
    :param data_position: byte where its compressed data begin.
    :param data_size: bytes of them, which may extend beyond the end of a cut file.
    :param size: bytes when decompressed; None if the recorder had not written it yet.
    :param checksum: CRC32 of its content; 0 for none.
    :param times: (messages,) int64 nanoseconds by channel, from the index that follows; empty if
        that is cut.
    """

    position: int
    data_position: int
    data_size: int
    compression: str
    size: int | None
    checksum: int
    times: dict[int, np.ndarray]

    @property
    def end(self) -> int:
        """Return the byte after its record."""
        return self.data_position + self.data_size


class ChunkedFile(ABC):
    """
    Reads a file record by record; a `Salvage`.

    A chunk is read as a whole, if it holds selected messages. Of one that is cut by the end of the
    file, the part that is there is read; a corrupt one is skipped. After a damaged record, reading
    resumes at the next chunk.

    :cvar CHUNK_START: matches the start of a chunk's record, as a lookahead.
    """

    CHUNK_START: ClassVar[re.Pattern[bytes]]

    def __init__(self, path: Path) -> None:
        self.name = path.name
        self.channels: dict[int, Channel] = {}
        self.start_ns: int | None = None
        self._size = path.stat().st_size
        self._file = path.open('rb', buffering=2 ** 16)
        self._strays: Counter[int] = Counter()  # messages of unknown channels
        self._parsed = 0  # bytes of the latest chunk

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
            report.add(self.name, f'the record that tells the topic of channel {channel_id} is '
                                  'lost, and so are its messages', count)

    @abstractmethod
    def _read_summary(self) -> bool:
        """Read channels and start time from the file's index; return whether it is usable."""

    @abstractmethod
    def _items(self, selection: Selection, report: Report) -> Iterator[Chunk | Message]:
        """Yield the chunks, and the selected messages outside of chunks."""

    @abstractmethod
    def _chunk_at(self, position: int) -> Chunk | None:
        """Return the chunk whose record begins at a byte; None if there is no valid one."""

    @abstractmethod
    def _parse(self, data: bytes, selection: Selection) -> Iterator[Message]:
        """Yield a chunk's selected messages; set `_parsed` to where a damaged record begins."""

    @abstractmethod
    def _message_head(self, record: bytes) -> tuple[int, int] | None:
        """Return channel and time of a cut record, if it is a message that holds them."""

    def _read(self, position: int, size: int) -> bytes:
        """Return bytes of the file, fewer at its end, none outside of it."""
        if not 0 <= position < self._size:
            return b''
        self._file.seek(position)
        return self._file.read(min(size, self._size - position))

    def _chunk_messages(self, chunk: Chunk, selection: Selection,
                        report: Report) -> Iterator[Message]:
        raw = self._read(chunk.data_position, chunk.data_size)
        is_cut = len(raw) < chunk.data_size or chunk.size is None
        try:
            data = (decompress_start if is_cut else decompress)(raw, chunk.compression)
            if not is_cut:
                _check(data, chunk)
        except CompressionError as error:
            report.add(self._place(chunk.position), f'a chunk is left out: {error}',
                       self._count(chunk, selection))
            return
        given = 0
        for message in self._parse(data, selection):
            given += 1
            yield message
        if is_cut:
            report.add(self._place(chunk.position), 'the file ends inside a chunk',
                       self._is_wanted(data[self._parsed:], selection))
        elif self._parsed < len(data):
            report.add(self._place(chunk.position), 'a chunk is damaged from byte '
                       f'{self._parsed} of its content on',
                       max(0, self._count(chunk, selection) - given))

    def _count(self, chunk: Chunk, selection: Selection) -> int:
        """Count the messages of a chunk that are or may be selected, by its index."""
        return sum(int(np.count_nonzero((selection.start_ns <= times)
                                        & (times < selection.stop_ns)))
                   for channel_id, times in chunk.times.items()
                   if channel_id not in self.channels
                   or self.channels[channel_id].topic in selection.topics)

    def _is_wanted(self, record: bytes, selection: Selection) -> bool:
        """Return whether a cut record is a selected message."""
        head = self._message_head(record)
        return head is not None and head[0] in self.channels and \
            selection.wants(self.channels[head[0]], head[1])

    def _meet(self, channel_id: int, time_ns: int, selection: Selection) -> Channel | None:
        """Return the channel of a selected message, else None."""
        self._start_at(time_ns)
        channel = self.channels.get(channel_id)
        if channel is None:
            self._strays[channel_id] += selection.start_ns <= time_ns < selection.stop_ns
            return None
        return channel if selection.wants(channel, time_ns) else None

    def _start_at(self, time_ns: int) -> None:
        self.start_ns = time_ns if self.start_ns is None else min(time_ns, self.start_ns)

    def _skip_gap(self, position: int, search_from: int, selection: Selection,
                  report: Report) -> int:
        """Report a damaged record; return the byte of the next chunk, or the file's end."""
        following = self._next_chunk(search_from)
        if following == self._size:
            report.add(self._place(position), 'the file is cut or damaged here: nothing after it '
                       'can be read', self._is_wanted(self._read(position, BLOCK), selection))
        else:
            report.add(self._place(position), f'{following - position} bytes are damaged')
        return following

    def _next_chunk(self, position: int) -> int:
        while position < self._size:
            block = self._read(position, BLOCK + CHUNK_START_SIZE)
            for match in self.CHUNK_START.finditer(block):
                if match.start() < BLOCK and self._chunk_at(position + match.start()):
                    return position + match.start()
            position += BLOCK
        return self._size

    def _place(self, position: int) -> str:
        return f'{self.name}, byte {position}'


def _check(data: bytes, chunk: Chunk) -> None:
    if len(data) != chunk.size:
        raise CompressionError(f'it holds {len(data)} bytes and not {chunk.size}')
    if chunk.checksum and crc32(data) != chunk.checksum:
        raise CompressionError('its checksum is wrong')
