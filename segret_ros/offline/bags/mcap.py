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
from segret_ros.offline.bags.chunks import Chunk, ChunkedFile
from segret_ros.offline.bags.storage import (
    Channel,
    FORMATS,
    full_type_name,
    LATEST_NS,
    Message,
    NO_DEFINITION,
    Report,
    Selection,
)

MAGIC = b'\x89MCAP0\r\n'
FOOTER, SCHEMA, CHANNEL, MESSAGE, CHUNK, MESSAGE_INDEX, CHUNK_INDEX, DATA_END = (
    2, 3, 4, 5, 6, 7, 8, 15)
FIRST_PRIVATE = 128
HEAD = struct.Struct('<BQ')  # of a record: opcode, bytes that follow
FOOTER_BODY = struct.Struct('<QQI')  # start of the summary and of its offsets, its checksum
MESSAGE_HEAD = struct.Struct('<HIQQ')  # channel, sequence, times of recording and publishing
CHUNK_HEAD = struct.Struct('<QQQII')  # start, end, size, checksum, length of compression's name
INDEX_HEAD = struct.Struct('<BQHI')  # as `HEAD`; channel, bytes of the entries
LONGEST_COMPRESSION = 16  # characters of its name


class McapFile(ChunkedFile):
    """An MCAP file, intact, cut or damaged; a `Salvage`."""

    CHUNK_START = re.compile(rb'(?=\x06.{36}(?:\x00{4}|\x03\x00{3}lz4|\x04\x00{3}zstd))',
                             re.DOTALL)

    _schemas: dict[int, tuple[str, MessageDefinition]]

    def _read_summary(self) -> bool:
        self._schemas = {}
        size = HEAD.size + FOOTER_BODY.size + len(MAGIC)
        tail = self._read(self._size - size, size)
        if not tail.startswith(HEAD.pack(FOOTER, FOOTER_BODY.size)) or not tail.endswith(MAGIC):
            return False
        start, _, checksum = FOOTER_BODY.unpack_from(tail, HEAD.size)
        if not 0 < start <= self._size - size:
            return False
        summary = self._read(start, self._size - size - start)
        if checksum and crc32(summary + tail[:HEAD.size + 16]) != checksum:
            return False
        channel_ids: set[int] = set()
        for opcode, begin, end in _records(summary):
            body = summary[begin:end]
            self._take(opcode, body)
            if opcode == CHUNK_INDEX and (in_chunk := _channels_of_chunk(body)):
                start_ns, end_ns = struct.unpack_from('<QQ', body)
                if not start_ns <= end_ns <= LATEST_NS:
                    return False
                self._start_at(start_ns)
                channel_ids |= in_chunk
        return bool(channel_ids) and channel_ids <= self.channels.keys()

    def _items(self, selection: Selection, report: Report) -> Iterator[Chunk | Message]:
        position = previous = len(MAGIC)
        while position < self._size:
            head = self._read(position, HEAD.size)
            opcode, size = HEAD.unpack(head) if len(head) == HEAD.size else (0, 0)
            end = position + HEAD.size + size
            chunk = self._chunk_at(position) if opcode == CHUNK else None
            if chunk:
                yield chunk
                end = chunk.end
                if end > self._size:
                    return
            elif not _is_sound(opcode, size) or end > self._size:
                end = self._skip_gap(position, previous + 1, selection, report)
                if end == self._size:
                    return
            elif opcode in (DATA_END, FOOTER):
                if self._read(self._size - len(MAGIC), len(MAGIC)) != MAGIC:
                    report.add(self._place(self._size), 'the index at the end of the file is cut; '
                                                        'no message is')
                return
            elif opcode == MESSAGE:
                yield from self._message(position + HEAD.size, size, selection)
            elif opcode in (SCHEMA, CHANNEL):
                self._take(opcode, self._read(position + HEAD.size, size))
            position, previous = end, position
        report.add(self._place(self._size), 'the file ends without a footer: the recorder was '
                                            'killed or the file is cut')

    def _message(self, position: int, size: int, selection: Selection) -> Iterator[Message]:
        channel_id, _, time_ns, _ = MESSAGE_HEAD.unpack(self._read(position, MESSAGE_HEAD.size))
        if channel := self._meet(channel_id, time_ns, selection):
            yield (channel, time_ns,
                   self._read(position + MESSAGE_HEAD.size, size - MESSAGE_HEAD.size))

    def _chunk_at(self, position: int) -> Chunk | None:
        head = self._read(position, HEAD.size + CHUNK_HEAD.size + LONGEST_COMPRESSION + 8)
        if len(head) < HEAD.size + CHUNK_HEAD.size or head[0] != CHUNK:
            return None
        _, record_size = HEAD.unpack_from(head)
        *_, size, checksum, name_size = CHUNK_HEAD.unpack_from(head, HEAD.size)
        name_at = HEAD.size + CHUNK_HEAD.size
        data_at = name_at + name_size + 8
        if name_size > LONGEST_COMPRESSION or len(head) < data_at:
            return None
        data_size, = struct.unpack_from('<Q', head, data_at - 8)
        if data_at + data_size != HEAD.size + record_size:
            return None
        compression = head[name_at:name_at + name_size].decode(errors='replace')
        return Chunk(position, position + data_at, data_size, compression, size, checksum,
                     self._times(position + data_at + data_size))

    def _times(self, position: int) -> dict[int, np.ndarray]:
        """Return the times in the index that begins at a byte; nothing if it is cut."""
        times: dict[int, np.ndarray] = {}
        while True:
            head = self._read(position, INDEX_HEAD.size)
            if len(head) < HEAD.size:
                return {}
            if head[0] != MESSAGE_INDEX:
                return times
            if len(head) < INDEX_HEAD.size:
                return {}
            _, size, channel_id, entries_size = INDEX_HEAD.unpack(head)
            entries = self._read(position + INDEX_HEAD.size, entries_size)
            if size != entries_size + 6 or entries_size % 16 or len(entries) < entries_size:
                return {}
            if entries:
                times[channel_id] = np.frombuffer(entries, '<i8')[::2]
            position += HEAD.size + size

    def _parse(self, data: bytes, selection: Selection) -> Iterator[Message]:
        self._parsed = 0
        for opcode, begin, end in _records(data):
            if opcode == MESSAGE:
                channel_id, _, time_ns, _ = MESSAGE_HEAD.unpack_from(data, begin)
                if channel := self._meet(channel_id, time_ns, selection):
                    yield channel, time_ns, data[begin + MESSAGE_HEAD.size:end]
            else:
                self._take(opcode, data[begin:end])
            self._parsed = end

    def _message_head(self, record: bytes) -> tuple[int, int] | None:
        if len(record) < HEAD.size + MESSAGE_HEAD.size or record[0] != MESSAGE:
            return None
        channel_id, _, time_ns, _ = MESSAGE_HEAD.unpack_from(record, HEAD.size)
        return channel_id, time_ns

    def _take(self, opcode: int, body: bytes) -> None:
        """Add the schema or channel of a record; a malformed one adds nothing."""
        try:
            if opcode == SCHEMA:
                name, encoding, text = islice(_strings(body, 2), 3)
                definition = MessageDefinition(FORMATS[encoding], text) \
                    if encoding in FORMATS else NO_DEFINITION
                self._schemas[struct.unpack_from('<H', body)[0]] = name, definition
            elif opcode == CHANNEL:
                channel_id, schema_id = struct.unpack_from('<HH', body)
                topic, encoding = islice(_strings(body, 4), 2)
                name, definition = self._schemas.get(schema_id, ('', NO_DEFINITION))
                self.channels.setdefault(channel_id, Channel(
                    topic, full_type_name(name), encoding, definition,
                    _qos(body, 12 + len(topic.encode()) + len(encoding.encode()))))
        except (struct.error, ValueError):
            pass  # its messages are reported as lost


def _is_sound(opcode: int, size: int) -> bool:
    """Return whether this may be a record; chunks are checked by `_chunk_at`."""
    if opcode == MESSAGE:
        return size >= MESSAGE_HEAD.size
    if opcode in (DATA_END, FOOTER):
        return size == (4 if opcode == DATA_END else FOOTER_BODY.size)
    return opcode != CHUNK and (0 < opcode <= DATA_END or opcode >= FIRST_PRIVATE)


def _channels_of_chunk(body: bytes) -> set[int]:
    """Return the channels that the index record of a chunk names."""
    if len(body) < 36:
        return set()
    size, = struct.unpack_from('<I', body, 32)
    offsets = body[36:36 + size]
    return {channel_id for channel_id, _ in
            struct.iter_unpack('<HQ', offsets[:len(offsets) // 10 * 10])}


def _records(data: bytes) -> Iterator[tuple[int, int, int]]:
    """Yield opcode, begin and end of each record's content, up to the first malformed one."""
    position = 0
    while position + HEAD.size <= len(data):
        opcode, size = HEAD.unpack_from(data, position)
        begin = position + HEAD.size
        if begin + size > len(data) or not _is_sound(opcode, size):
            return
        yield opcode, begin, begin + size
        position = begin + size


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
