# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
SQLite files of rosbag2, read page by page (sqlite.org/fileformat2.html).

SQL alone would lose messages that are there: in a cut file it can't reach the leaf pages whose
inner page is behind the cut, and SQLite's own `.recover` needs the virtual table sqlite_dbpage,
which neither Debian's library nor the one that rosbags installs is built with.
"""

from collections.abc import Iterator
from contextlib import suppress
import os
from pathlib import Path
import struct
from typing import Any, BinaryIO, NamedTuple
from urllib.parse import quote

from rosbags.interfaces import MessageDefinition
from rosbags.rosbag2 import Reader
from segret_ros.offline.bags.storage import (
    Channel,
    FORMATS,
    full_type_name,
    Message,
    NO_DEFINITION,
    Report,
    Selection,
)

HEADER_SIZE = 100  # bytes at the start of the first page
INNER, LEAF = 5, 13  # kinds of table pages
NUMBER_SIZES = {0: 0, 1: 1, 2: 2, 3: 3, 4: 4, 5: 6, 6: 8, 8: 0, 9: 0}  # bytes by serial type
FIRST_BLOB = 12  # serial types from here on: even ones are blobs, odd ones texts
WAL_HEADER_SIZE, FRAME_HEADER_SIZE = 32, 24


class Cell(NamedTuple):
    """
    A row as it lies in its page.

    :param size: bytes of the row.
    :param data: those of them that are in the page.
    :param overflow: page where the rest begins; 0 for none.
    """

    row_id: int
    size: int
    data: bytes
    overflow: int


class PageError(ValueError):
    """A page or row that is cut off or malformed."""


class Pages:
    """
    The pages of a database; those in its write-ahead log replace those in the file.

    A recorder that is killed leaves the log, which holds what it wrote last.
    """

    def __init__(self, path: Path) -> None:
        self._file = path.open('rb', buffering=2 ** 16)
        header = self._file.read(HEADER_SIZE).ljust(HEADER_SIZE, b'\0')
        size, = struct.unpack_from('>H', header, 16)
        self.size = 2 ** 16 if size == 1 else max(size, 512)
        self.usable = self.size - header[20]
        self.planned, = struct.unpack_from('>I', header, 28)
        self.file_size = path.stat().st_size
        log = path.with_name(f'{path.name}-wal')
        self.log = log.open('rb') if log.exists() else None
        self._logged = self._find_pages(self.log) if self.log else {}  # offset by page number
        self.count = max([-(-self.file_size // self.size), *self._logged])

    def close(self) -> None:
        """Close the files."""
        self._file.close()
        if self.log:
            self.log.close()

    def read(self, number: int) -> bytes:
        """Return a page: less of the last one of a cut file, nothing beyond the end."""
        if self.log and number in self._logged:
            self.log.seek(self._logged[number])
            return self.log.read(self.size)
        if not 0 < number <= self.count:
            return b''
        self._file.seek((number - 1) * self.size)
        return self._file.read(self.size)

    def leaves(self) -> Iterator[tuple[int, list[Cell]]]:
        """Yield number and rows of each page but the first that may hold rows, in order."""
        for number in range(2, self.count + 1):
            page = self.read(number)
            if page[:1] == bytes([LEAF]):
                yield number, self._cells(page, 0)

    def content(self, cell: Cell) -> bytes:
        """
        Return the bytes of a row.

        :raises PageError: when some of them are missing.
        """
        if cell.size > self.count * self.size:
            raise PageError('a row is malformed')
        parts, missing, number = [cell.data], cell.size - len(cell.data), cell.overflow
        while missing > 0:
            page = self.read(number)
            part = page[4:min(self.usable, 4 + missing)]
            if len(part) < min(self.usable - 4, missing):
                raise PageError('a row is cut off')
            parts.append(part)
            missing -= len(part)
            number = int.from_bytes(page[:4], 'big')
        return b''.join(parts)

    def table(self, root: int, columns: int) -> Iterator[tuple[int, list[Any]]]:
        """Yield id and values of a small table's rows, as far as its pages can be reached."""
        waiting, met = [root], set()
        while waiting:
            number = waiting.pop()
            page = self.read(number)
            at = HEADER_SIZE if number == 1 else 0
            if number in met or len(page) <= at + 12:
                continue
            met.add(number)
            if page[at] == INNER:
                count = min(int.from_bytes(page[at + 3:at + 5], 'big'), self.size // 6)
                places = struct.unpack_from(f'>{count}H', page.ljust(2 * self.size), at + 12)
                children = [page[place:place + 4] for place in places] + [page[at + 8:at + 12]]
                waiting += [int.from_bytes(child, 'big') for child in reversed(children)]
            for cell in self._cells(page, at):
                with suppress(PageError):
                    values = _values(self.content(cell))
                    if len(values) >= columns:
                        yield cell.row_id, values

    def _cells(self, page: bytes, at: int) -> list[Cell]:
        """Return the whole rows of a leaf, whose header begins at a byte."""
        if len(page) < at + 8 or page[at] != LEAF:
            return []
        count, = struct.unpack_from('>H', page, at + 3)
        if count > self.size // 4:
            return []
        cells = []
        for index in range(at + 8, at + 8 + 2 * count, 2):
            with suppress(PageError):
                cells.append(self._cell(page, int.from_bytes(page[index:index + 2], 'big')))
        return cells

    def _cell(self, page: bytes, position: int) -> Cell:
        size, position = _varint(page, position)
        row_id, position = _varint(page, position)
        in_page = size
        if size > self.usable - 35:
            least = (self.usable - 12) * 32 // 255 - 23
            in_page = least + (size - least) % (self.usable - 4)
            if in_page > self.usable - 35:
                in_page = least
        data = page[position:position + in_page]
        overflow = page[position + in_page:position + in_page + 4] if in_page < size else b''
        if len(data) < in_page or len(overflow) < 4 * (in_page < size):
            raise PageError('a row is cut off')
        return Cell(row_id, size, data, int.from_bytes(overflow, 'big'))

    def _find_pages(self, log: BinaryIO) -> dict[int, int]:
        header, logged = log.read(WAL_HEADER_SIZE), {}
        if int.from_bytes(header[8:12], 'big') == self.size:
            for position in range(WAL_HEADER_SIZE, os.fstat(log.fileno()).st_size,
                                  FRAME_HEADER_SIZE + self.size):
                log.seek(position)
                frame = log.read(FRAME_HEADER_SIZE)
                if frame[8:16] != header[16:24]:  # of an earlier use of the log
                    break
                logged[int.from_bytes(frame[:4], 'big')] = position + FRAME_HEADER_SIZE
        return logged


class SqliteFile:
    """
    A SQLite file of rosbag2, intact, cut or damaged; read as a `ChunkedFile` is.

    Topics are found through their table. All pages are searched for messages, since a cut or
    damaged file has lost the pages that lead to others.
    """

    MAGIC = b'SQLite format 3\0'

    def __init__(self, path: Path) -> None:
        self.path = path
        self.channels: dict[int, Channel] = {}
        self.start_ns: int | None = None
        self._pages = Pages(path)

    def close(self) -> None:
        """Close the file."""
        self._pages.close()

    def survey(self) -> bool:
        """Find topics and start time; return whether SQLite can read the file."""
        tables = {values[1]: values[3] for _, values in self._pages.table(1, 5)
                  if values[0] == 'table' and isinstance(values[3], int)}
        definitions: dict[str, MessageDefinition] = {}
        for _, values in self._pages.table(tables.get('message_definitions', 0), 4):
            _, name, encoding, text, *_ = values
            if encoding in FORMATS and isinstance(text, str):
                definitions.setdefault(name, MessageDefinition(FORMATS[encoding], text))
        for topic_id, values in self._pages.table(tables.get('topics', 0), 4):
            _, topic, name, encoding, *others = values
            if all(isinstance(value, str) for value in (topic, name, encoding)):
                self.channels[topic_id] = Channel(
                    topic, full_type_name(name), encoding, definitions.get(name, NO_DEFINITION),
                    others[0] if others and isinstance(others[0], str) else '')
        for _, cells in self._pages.leaves():
            if messages := list(filter(None, (_message(cell.data) for cell in cells))):
                self.start_ns = min(time_ns for _, _, time_ns, _ in messages)
                break
        return not self._pages.log and {'topics', 'messages'} <= tables.keys() and \
            (bool(self.channels) or self.start_ns is None)

    def library(self) -> Reader:
        """Return rosbags' reader of the file, which takes `#`, `?` and `%` as of a URI."""
        reader = Reader(self.path)
        reader.storage.path = Path(quote(os.fsencode(self.path)))  # type: ignore[attr-defined]
        return reader

    def messages(self, selection: Selection, report: Report) -> Iterator[Message]:
        """Yield what can be read and report what can't; call `survey` first."""
        pages = self._pages
        if pages.file_size < max(HEADER_SIZE, pages.planned * pages.size):
            report.add(f'{self.path.name}, byte {pages.file_size}', 'the file is cut')
        elif not pages.log:
            report.add(self.path.name, "SQLite can't read the file: its pages are searched for "
                                       'messages')
        seen, last_id = 0, 0
        for number, cells in pages.leaves():
            place = f'{self.path.name}, byte {(number - 1) * pages.size}'
            for cell in cells:
                if (values := _message(cell.data)) is None:
                    continue
                _, topic_id, time_ns, _ = values
                seen, last_id = seen + 1, max(last_id, cell.row_id)
                channel = self.channels.get(topic_id)
                if channel is None:
                    report.add(place, 'the topic of messages is lost', 1)
                elif selection.wants(channel, time_ns):
                    try:
                        yield channel, time_ns, _values(pages.content(cell))[3]
                    except PageError:
                        report.add(place, 'messages are cut off or damaged', 1)
        if last_id > seen:
            report.add(self.path.name, f'of {last_id} messages, whatever their topic, '
                                       f'{last_id - seen} are on pages that are lost')


def _message(row: bytes) -> list[Any] | None:
    """Return id, topic id, time and data of a message's row, which may be cut in its data."""
    try:
        values = _values(row)
    except PageError:
        return None
    is_message = [type(value) for value in values] == [type(None), int, int, bytes]
    return values if is_message else None


def _values(row: bytes) -> list[Any]:
    """
    Return the values of a row, of which the last may be cut.

    :raises PageError: for a malformed row, or a fraction, which no table of a bag holds.
    """
    end, position = _varint(row, 0)
    kinds = []
    while position < end:
        kind, position = _varint(row, position)
        kinds.append(kind)
    values: list[Any] = []
    for kind in kinds:
        size = (kind - FIRST_BLOB) // 2 if kind >= FIRST_BLOB else NUMBER_SIZES.get(kind)
        if size is None or kind < FIRST_BLOB and position + size > len(row):
            raise PageError('a row is malformed')
        part = row[position:position + size]
        position += size
        if kind >= FIRST_BLOB:
            values.append(part.decode(errors='replace') if kind % 2 else part)
        elif kind in (8, 9):  # the numbers 0 and 1
            values.append(kind - 8)
        else:
            values.append(int.from_bytes(part, 'big', signed=True) if kind else None)
    return values


def _varint(data: bytes, position: int) -> tuple[int, int]:
    """Return a number of variable length, and where the next begins."""
    value = 0
    for index, byte in enumerate(data[position:position + 9], 1):
        if index == 9:
            return value << 8 | byte, position + index
        value = value << 7 | byte & 127
        if byte < 128:
            return value, position + index
    raise PageError('a row is cut off')
