# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""What MCAP and ROS 1 files have in common: chunks of messages with an index behind each."""

from abc import ABC, abstractmethod
from binascii import crc32
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
import re
from typing import ClassVar

import numpy as np
from segret_ros.offline.bags.compression import (
    BLOCK,
    CompressionError,
    decompress,
    decompress_start,
)
from segret_ros.offline.bags.storage import Channel, Message, NOTHING, Report, Selection

CHUNK_START_SIZE = 64  # bytes that hold what `ChunkedFile.CHUNK_START` looks at


@dataclass(frozen=True)
class Chunk:
    """
    A run of messages, mostly compressed.

    :param position: byte of the file where its record begins.
    :param data_position: byte where its compressed data begin.
    :param data_size: bytes of them, which may reach behind the end of a cut file.
    :param size: bytes of its content; None where the recorder had not written that yet.
    :param checksum: CRC32 of its content; 0 for none.
    :param times: (messages,) int64 nanoseconds by channel, as the index behind it has them; empty
        without a whole index.
    """

    position: int
    data_position: int
    data_size: int
    compression: str
    size: int | None
    checksum: int
    times: dict[int, np.ndarray]

    def end(self) -> int:
        """Give the byte behind its record."""
        return self.data_position + self.data_size


class ChunkedFile(ABC):
    """
    Walks through a file record by record; a `Salvage`.

    A chunk is read when something that is asked for is in it, and as a whole. Of one that the end
    of the file cuts, what is there is read; one that is damaged is left out. Behind a damaged
    record the walk goes on with the next chunk.

    :cvar CHUNK_START: what a chunk's record begins like, as a lookahead.
    """

    CHUNK_START: ClassVar[re.Pattern[bytes]]

    def __init__(self, path: Path) -> None:
        self.name = path.name
        self.channels: dict[int, Channel] = {}
        self.start_ns: int | None = None
        self._size = path.stat().st_size
        self._file = path.open('rb', buffering=2 ** 16)
        self._strays: Counter[int] = Counter()  # messages of channels that nothing tells of
        self._parsed = 0  # bytes of the latest chunk

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def survey(self) -> bool:
        """Find channels and start; tell whether the file has an index to read it by."""
        if self._read_summary():
            return True
        for item in self._items(NOTHING, Report()):
            if not isinstance(item, Chunk):
                continue
            if item.times and item.times.keys() <= self.channels.keys():
                self._start_at(min(int(times.min()) for times in item.times.values()))
            else:
                for _ in self._chunk_messages(item, NOTHING, Report()):
                    pass
        return False

    def messages(self, selection: Selection, report: Report) -> Iterator[Message]:
        """Give what can be read and list what can't; after `survey`."""
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
        """Read channels and start from the index of the file; tell whether it is sound."""

    @abstractmethod
    def _items(self, selection: Selection, report: Report) -> Iterator[Chunk | Message]:
        """Give the chunks, and those messages outside of chunks that are asked for."""

    @abstractmethod
    def _chunk_at(self, position: int) -> Chunk | None:
        """Give the chunk whose record begins at a byte; None if there is none in one piece."""

    @abstractmethod
    def _parse(self, data: bytes, selection: Selection) -> Iterator[Message]:
        """Give a chunk's messages that are asked for; set `_parsed` before a damaged record."""

    @abstractmethod
    def _message_head(self, record: bytes) -> tuple[int, int] | None:
        """Give channel and time of a cut record, if it is a message and they are there."""

    def _read(self, position: int, size: int) -> bytes:
        """Give bytes of the file, fewer at its end; none for a place outside of it."""
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
        """Give how many messages of a chunk are asked for, or may be, by the index behind it."""
        return sum(int(np.count_nonzero((selection.start_ns <= times)
                                        & (times < selection.stop_ns)))
                   for channel_id, times in chunk.times.items()
                   if channel_id not in self.channels
                   or self.channels[channel_id].topic in selection.topics)

    def _is_wanted(self, record: bytes, selection: Selection) -> bool:
        """Tell whether a cut record is a message that is asked for."""
        head = self._message_head(record)
        return head is not None and head[0] in self.channels and \
            selection.wants(self.channels[head[0]], head[1])

    def _meet(self, channel_id: int, time_ns: int, selection: Selection) -> Channel | None:
        """Give the channel of a message that is asked for, else None."""
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
        """List a record that can't be read; give the byte of the next chunk, or the file's end."""
        following = self._next_chunk(search_from)
        if following == self._size:
            report.add(self._place(position), 'the file is cut or damaged here: nothing behind '
                       'can be read', self._is_wanted(self._read(position, BLOCK), selection))
        else:
            report.add(self._place(position), f'{following - position} bytes are damaged')
        return following

    def _next_chunk(self, position: int) -> int:
        while position < self._size:
            block = self._read(position, BLOCK + CHUNK_START_SIZE)
            for match in self.CHUNK_START.finditer(block, 0, len(block)):
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
