# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""ROS 1 bags, read record by record (wiki.ros.org/Bags/Format/2.0)."""

from collections.abc import Iterator
import re
import struct
from typing import NamedTuple

import numpy as np
from rosbags.interfaces import MessageDefinition, MessageDefinitionFormat
from segret_ros.offline.bags.chunks import Chunk, ChunkedFile
from segret_ros.offline.bags.storage import Channel, full_type_name, Message, Report, Selection

MAGIC = b'#ROSBAG V2.0\n'
MESSAGE, BAG_HEADER, INDEX, CHUNK, CHUNK_INFO, CONNECTION = (
    b'\2', b'\3', b'\4', b'\5', b'\6', b'\7')
LONGEST_HEADER = 2 ** 16  # bytes


class Record(NamedTuple):
    """The fields of a record's header, and the begin and end of its data."""

    fields: dict[bytes, bytes]
    begin: int
    end: int

    def number(self, name: bytes) -> int | None:
        """Return an integer field; None if it is missing."""
        value = self.fields.get(name)
        return int.from_bytes(value, 'little') if value else None

    def time_ns(self, name: bytes) -> int | None:
        """Return a time field in ns; None if it is missing."""
        value = self.fields.get(name, b'')
        if len(value) != 8:
            return None
        seconds, nanoseconds = struct.unpack('<II', value)
        return seconds * 10 ** 9 + nanoseconds


class Ros1File(ChunkedFile):
    """A ROS 1 bag, intact, cut, damaged or never indexed; a `Salvage`."""

    # Size of the header, size of its first field, name of that field.
    CHUNK_START = re.compile(rb'(?=[\x28\x29]\x00{3}.\x00{3}(?:op=|size=|compression=))',
                             re.DOTALL)

    def _read_summary(self) -> bool:
        header = self._record_at(len(MAGIC))
        if not header:
            return False
        position, connections, chunks = (
            header.number(name) for name in (b'index_pos', b'conn_count', b'chunk_count'))
        if not position or connections is None or chunks is None:
            return False
        for _ in range(connections + chunks):
            record = self._record_at(position)
            if not record or record.end > self._size:
                return False
            if record.fields.get(b'op') == CONNECTION:
                self._take(record, self._read(record.begin, record.end - record.begin))
            start_ns = record.time_ns(b'start_time')
            if start_ns is not None and record.number(b'count'):
                self._start_at(start_ns)
            position = record.end
        return len(self.channels) == connections

    def _items(self, selection: Selection, report: Report) -> Iterator[Chunk | Message]:
        position = previous = len(MAGIC)
        problem = 'the file ends without an index: it is cut'
        while position < self._size:
            record = self._record_at(position)
            chunk = self._chunk_of(position, record) if record else None
            if chunk:
                yield chunk
                end = chunk.end
                if end > self._size or chunk.size is None:
                    return
            elif not record or record.end > self._size or not _is_sound(record):
                end = self._skip_gap(position, previous + 1, selection, report)
                if end == self._size:
                    return
            else:
                end = record.end
                if record.fields[b'op'] == CONNECTION:
                    self._take(record, self._read(record.begin, end - record.begin))
                elif record.fields[b'op'] == BAG_HEADER and not record.number(b'index_pos'):
                    problem = 'the file ends without an index: the recorder was killed'
                elif record.fields[b'op'] == CHUNK_INFO:
                    return
            position, previous = end, position
        report.add(self._place(self._size), problem)

    def _record_at(self, position: int) -> Record | None:
        size = self._read(position, 4)
        if len(size) < 4 or int.from_bytes(size, 'little') > LONGEST_HEADER:
            return None
        record = _record(self._read(position, 8 + int.from_bytes(size, 'little')), 0)
        return record and Record(record.fields, position + record.begin, position + record.end)

    def _chunk_at(self, position: int) -> Chunk | None:
        record = self._record_at(position)
        return self._chunk_of(position, record) if record else None

    def _chunk_of(self, position: int, record: Record) -> Chunk | None:
        size = record.number(b'size')
        compression = record.fields.get(b'compression', b'').decode(errors='replace')
        if record.fields.get(b'op') != CHUNK or size is None or not compression:
            return None
        if size == 0 and record.begin == record.end:  # filled in when the recorder ends a chunk
            return Chunk(position, record.begin, self._size - record.begin, compression, None, 0,
                         {})
        return Chunk(position, record.begin, record.end - record.begin, compression, size, 0,
                     self._times(record.end))

    def _times(self, position: int) -> dict[int, np.ndarray]:
        """Return the times in the index that begins at a byte; nothing if it is cut."""
        times: dict[int, np.ndarray] = {}
        while True:
            record = self._record_at(position)
            if not record or record.end > self._size:
                return {}
            if record.fields.get(b'op') != INDEX:
                return times
            channel_id = record.number(b'conn')
            size = record.end - record.begin
            if channel_id is None or size % 12:
                return {}
            if size:
                entries = np.frombuffer(self._read(record.begin, size), '<u4').reshape(-1, 3)
                seconds, rest_ns = entries[:, 0].astype(np.int64), entries[:, 1]
                times[channel_id] = seconds * 10 ** 9 + rest_ns
            position = record.end

    def _parse(self, data: bytes, selection: Selection) -> Iterator[Message]:
        self._parsed = 0
        while record := _record(data, self._parsed):
            if record.end > len(data) or record.fields.get(b'op') not in (MESSAGE, CONNECTION):
                return
            if record.fields[b'op'] == CONNECTION:
                self._take(record, data[record.begin:record.end])
            else:
                channel_id, time_ns = record.number(b'conn'), record.time_ns(b'time')
                if channel_id is None or time_ns is None:
                    return
                if channel := self._meet(channel_id, time_ns, selection):
                    yield channel, time_ns, data[record.begin:record.end]
            self._parsed = record.end

    def _message_head(self, record: bytes) -> tuple[int, int] | None:
        head = _record(record, 0)
        if not head or head.fields.get(b'op') != MESSAGE:
            return None
        channel_id, time_ns = head.number(b'conn'), head.time_ns(b'time')
        return None if channel_id is None or time_ns is None else (channel_id, time_ns)

    def _take(self, record: Record, data: bytes) -> None:
        """Add the channel of a connection record; a malformed one adds nothing."""
        fields, channel_id = _fields(data), record.number(b'conn')
        if fields is None or channel_id is None or b'type' not in fields:
            return
        topic = re.sub('/+', '/', record.fields.get(b'topic', b'').decode(errors='replace'))
        definition = MessageDefinition(
            MessageDefinitionFormat.MSG,
            fields.get(b'message_definition', b'').decode(errors='replace'))
        type_name = full_type_name(fields[b'type'].decode(errors='replace'))
        self.channels.setdefault(channel_id, Channel(topic, type_name, 'ros1', definition))


def _is_sound(record: Record) -> bool:
    """Return whether this may be a record; chunks are checked by `_chunk_of`."""
    return record.fields.get(b'op') in (MESSAGE, BAG_HEADER, INDEX, CHUNK_INFO, CONNECTION)


def _record(data: bytes, position: int) -> Record | None:
    """Return the record that begins at a byte; None if its header is cut, its data may be."""
    size = int.from_bytes(data[position:position + 4], 'little')
    begin = position + 4 + size + 4
    if begin > len(data):
        return None
    fields = _fields(data[position + 4:begin - 4])
    if fields is None:
        return None
    return Record(fields, begin, begin + int.from_bytes(data[begin - 4:begin], 'little'))


def _fields(data: bytes) -> dict[bytes, bytes] | None:
    """Return the fields of a header; None if it is malformed."""
    fields = {}
    position = 0
    while position < len(data):
        size = int.from_bytes(data[position:position + 4], 'little')
        name, equals, value = data[position + 4:position + 4 + size].partition(b'=')
        position += 4 + size
        if not equals or position > len(data):
            return None
        fields[name] = value
    return fields
