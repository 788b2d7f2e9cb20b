# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""ROS 1 bags, read record by record (wiki.ros.org/Bags/Format/2.0)."""

import re
import struct

import numpy as np
from rosbags.interfaces import MessageDefinition, MessageDefinitionFormat
from rosbags.rosbag1 import Reader
from segret_ros.offline.bags.chunks import Chunk, ChunkedFile, Record
from segret_ros.offline.bags.storage import Channel, full_type_name

Fields = dict[bytes, bytes]
MESSAGE, BAG_HEADER, CHUNK_INFO, CONNECTION = 2, 3, 6, 7


class Ros1File(ChunkedFile):
    """A ROS 1 bag, intact, cut, damaged or never indexed."""

    MAGIC = b'#ROSBAG V2.0\n'
    # Size of the header, size of its first field, name of that field.
    CHUNK_START = re.compile(rb'(?=[\x28\x29]\x00{3}.\x00{3}(?:op=|size=|compression=))',
                             re.DOTALL)
    LONGEST_HEAD = 2 ** 12
    CHUNK, INDEX = 5, 4
    DEFINITIONS = frozenset((CONNECTION,))
    IN_CHUNK = frozenset((MESSAGE, CONNECTION))
    LAST = frozenset((CHUNK_INFO,))

    def library(self) -> Reader:
        """Return rosbags' reader of the file, which needs the index."""
        return Reader(self.path)

    def _read_summary(self) -> bool:
        header = self._record_at(len(self.MAGIC))
        if not header:
            return False
        position, connections, chunks = (
            _number(header.fields, name) for name in (b'index_pos', b'conn_count', b'chunk_count'))
        if not position or connections is None or chunks is None:
            return False
        for _ in range(connections + chunks):
            record = self._record_at(position)
            if not record or record.end > self._size:
                return False
            if record.kind == CONNECTION:
                self._define(record, self._read(record.start, record.end))
            start_ns = _time_ns(record.fields, b'start_time')
            if start_ns is not None and _number(record.fields, b'count'):
                self._start_at(start_ns)
            position = record.end
        return len(self.channels) == connections

    def _record(self, data: bytes, position: int) -> Record | None:
        start = position + 8 + int.from_bytes(data[position:position + 4], 'little')
        fields = _fields(data[position + 4:start - 4]) if start <= len(data) else None
        if not fields:
            return None
        kind, message = _number(fields, b'op'), None
        if kind == MESSAGE:
            channel_id, time_ns = _number(fields, b'conn'), _time_ns(fields, b'time')
            if channel_id is None or time_ns is None:
                return None
            message = channel_id, time_ns
        elif kind not in (BAG_HEADER, self.INDEX, self.CHUNK, CHUNK_INFO, CONNECTION):
            return None
        end = start + int.from_bytes(data[start - 4:start], 'little')
        return Record(kind, start, end, message, fields)

    def _chunk_at(self, position: int) -> Chunk | None:
        record = self._record_at(position)
        if not record or record.kind != self.CHUNK:
            return None
        size = _number(record.fields, b'size')
        compression = record.fields.get(b'compression', b'').decode(errors='replace')
        if size is None or not compression:
            return None
        if size == 0 and record.start == record.end:  # filled in when the recorder ends a chunk
            return Chunk(position, record.start, self._size, compression, None)
        return Chunk(position, record.start, record.end, compression, size,
                     times=self._times(record.end))

    def _index_entries(self, record: Record, content: bytes) -> tuple[int, np.ndarray]:
        channel_id = _number(record.fields, b'conn')
        if channel_id is None or len(content) < record.end - record.start:
            raise ValueError('the record is cut, or of no channel')
        seconds, rest_ns, _ = np.frombuffer(content, '<u4').reshape(-1, 3).astype(np.int64).T
        return channel_id, seconds * 10 ** 9 + rest_ns

    def _define(self, record: Record, content: bytes) -> None:
        fields, channel_id = _fields(content), _number(record.fields, b'conn')
        if fields is None or channel_id is None or b'type' not in fields:
            return
        topic = re.sub('/+', '/', record.fields.get(b'topic', b'').decode(errors='replace'))
        definition = MessageDefinition(
            MessageDefinitionFormat.MSG,
            fields.get(b'message_definition', b'').decode(errors='replace'))
        type_name = full_type_name(fields[b'type'].decode(errors='replace'))
        self.channels.setdefault(channel_id, Channel(topic, type_name, 'ros1', definition))


def _fields(data: bytes) -> Fields | None:
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


def _number(fields: Fields, name: bytes) -> int | None:
    """Return an integer field; None if it is missing."""
    value = fields.get(name)
    return int.from_bytes(value, 'little') if value else None


def _time_ns(fields: Fields, name: bytes) -> int | None:
    """Return a time field in ns; None if it is missing."""
    value = fields.get(name, b'')
    if len(value) != 8:
        return None
    seconds, nanoseconds = struct.unpack('<II', value)
    return seconds * 10 ** 9 + nanoseconds
