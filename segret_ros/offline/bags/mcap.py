# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""MCAP files, read record by record (mcap.dev/spec)."""

from binascii import crc32
from collections.abc import Iterator
from itertools import islice
import re
import struct

import numpy as np
from rosbags.interfaces import MessageDefinition
from rosbags.rosbag2 import Reader
from segret_ros.offline.bags.chunks import Chunk, ChunkedFile, Record
from segret_ros.offline.bags.storage import (
    Channel,
    FORMATS,
    full_type_name,
    LATEST_NS,
    NO_DEFINITION,
)

FOOTER, SCHEMA, CHANNEL, MESSAGE, CHUNK_INDEX, DATA_END = 2, 3, 4, 5, 8, 15
PRIVATE = range(128, 256)
HEAD = struct.Struct('<BQ')  # of a record: opcode, bytes that follow
FOOTER_BODY = struct.Struct('<QQI')  # start of the summary and of its offsets, its checksum
MESSAGE_HEAD = struct.Struct('<HIQQ')  # channel, sequence, times of recording and publishing
CHUNK_HEAD = struct.Struct('<BQQQQII')  # as `HEAD`; start, end, size, checksum, bytes of a name
INDEX_HEAD = struct.Struct('<HI')  # channel, bytes of the entries
LONGEST_COMPRESSION = 16  # characters of its name


class McapFile(ChunkedFile):
    """An MCAP file, intact, cut or damaged."""

    MAGIC = END = b'\x89MCAP0\r\n'
    CHUNK_START = re.compile(rb'(?=\x06.{36}(?:\x00{4}|\x03\x00{3}lz4|\x04\x00{3}zstd))',
                             re.DOTALL)
    LONGEST_HEAD = HEAD.size + MESSAGE_HEAD.size
    CHUNK, INDEX = 6, 7
    DEFINITIONS = frozenset((SCHEMA, CHANNEL))
    IN_CHUNK = frozenset((SCHEMA, CHANNEL, MESSAGE, *PRIVATE))
    LAST = frozenset((DATA_END, FOOTER))

    _schemas: dict[int, tuple[str, MessageDefinition]]

    def library(self) -> Reader:
        """Return rosbags' reader of the file, which needs the index."""
        return Reader(self.path)

    def _read_summary(self) -> bool:
        self._schemas = {}
        size = HEAD.size + FOOTER_BODY.size + len(self.END)
        tail = self._read(self._size - size, self._size)
        if not tail.startswith(HEAD.pack(FOOTER, FOOTER_BODY.size)) or not tail.endswith(self.END):
            return False
        start, _, checksum = FOOTER_BODY.unpack_from(tail, HEAD.size)
        summary = self._read(start, self._size - size) if start else b''
        if checksum and crc32(summary + tail[:HEAD.size + 16]) != checksum:
            return False
        channel_ids: set[int] = set()
        position = 0
        while (record := self._record(summary, position)) and record.end <= len(summary):
            content = summary[record.start:record.end]
            self._define(record, content)
            if record.kind == CHUNK_INDEX and (in_chunk := _channels_of_chunk(content)):
                start_ns, end_ns = struct.unpack_from('<QQ', content)
                if not start_ns <= end_ns <= LATEST_NS:
                    return False
                self._start_at(start_ns)
                channel_ids |= in_chunk
            position = record.end
        return bool(channel_ids) and channel_ids <= self.channels.keys()

    def _record(self, data: bytes, position: int) -> Record | None:
        start = position + HEAD.size
        if start > len(data):
            return None
        kind, size = HEAD.unpack_from(data, position)
        if kind == MESSAGE:
            if size < MESSAGE_HEAD.size or start + MESSAGE_HEAD.size > len(data):
                return None
            channel_id, _, time_ns, _ = MESSAGE_HEAD.unpack_from(data, start)
            return Record(kind, start + MESSAGE_HEAD.size, start + size, (channel_id, time_ns))
        is_sound = size == {DATA_END: 4, FOOTER: FOOTER_BODY.size}.get(kind, size)
        is_known = 0 < kind <= DATA_END or kind in PRIVATE
        return Record(kind, start, start + size) if is_known and is_sound else None

    def _chunk_at(self, position: int) -> Chunk | None:
        head = self._read(position, position + CHUNK_HEAD.size + LONGEST_COMPRESSION + 8)
        try:
            kind, record_size, _, _, size, checksum, name_size = CHUNK_HEAD.unpack_from(head)
            name, data_size = struct.unpack_from(f'<{name_size}sQ', head, CHUNK_HEAD.size)
        except struct.error:
            return None
        start = position + CHUNK_HEAD.size + name_size + 8
        end = start + data_size
        if kind != self.CHUNK or end != position + HEAD.size + record_size:
            return None
        return Chunk(position, start, end, name.decode(errors='replace'), size, checksum,
                     self._times(end))

    def _index_entries(self, record: Record, content: bytes) -> tuple[int, np.ndarray]:
        channel_id, size = INDEX_HEAD.unpack_from(content)
        entries = content[INDEX_HEAD.size:]
        if not len(entries) == size == record.end - record.start - INDEX_HEAD.size:
            raise ValueError(f'{len(entries)} bytes of {size}')
        return channel_id, np.frombuffer(entries, '<i8').reshape(-1, 2)[:, 0]

    def _define(self, record: Record, content: bytes) -> None:
        try:
            if record.kind == SCHEMA:
                name, encoding, text = islice(_strings(content, 2), 3)
                definition = MessageDefinition(FORMATS[encoding], text) \
                    if encoding in FORMATS else NO_DEFINITION
                self._schemas[struct.unpack_from('<H', content)[0]] = name, definition
            elif record.kind == CHANNEL:
                channel_id, schema_id = struct.unpack_from('<HH', content)
                topic, encoding = islice(_strings(content, 4), 2)
                name, definition = self._schemas.get(schema_id, ('', NO_DEFINITION))
                self.channels.setdefault(channel_id, Channel(
                    topic, full_type_name(name), encoding, definition,
                    _qos(content, 12 + len(topic.encode()) + len(encoding.encode()))))
        except (struct.error, ValueError):
            pass  # its messages are reported as lost


def _channels_of_chunk(body: bytes) -> set[int]:
    """Return the channels that the index record of a chunk names."""
    if len(body) < 36:
        return set()
    size, = struct.unpack_from('<I', body, 32)
    offsets = body[36:36 + size]
    return {channel_id for channel_id, _ in
            struct.iter_unpack('<HQ', offsets[:len(offsets) // 10 * 10])}


def _qos(body: bytes, position: int) -> str:
    """Return the QoS from a channel's metadata, a map of strings; empty if there is none."""
    try:
        size, = struct.unpack_from('<I', body, position)
        strings = list(_strings(body[:position + 4 + size], position + 4))
    except (struct.error, ValueError):
        return ''
    return dict(zip(strings[::2], strings[1::2])).get('offered_qos_profiles', '')


def _strings(body: bytes, position: int) -> Iterator[str]:
    """Yield the strings of a record from a byte on."""
    while position < len(body):
        size, = struct.unpack_from('<I', body, position)
        text, = struct.unpack_from(f'<{size}s', body, position + 4)
        yield text.decode()
        position += 4 + size
