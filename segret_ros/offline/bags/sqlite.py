# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""SQLite files of rosbag2, read page by page as SQLite's file format has them."""

from collections.abc import Iterator
from pathlib import Path
import struct
from typing import NamedTuple

from rosbags.interfaces import MessageDefinition
from segret_ros.offline.bags.message_types import NO_DEFINITION
from segret_ros.offline.bags.storage import (
    Channel,
    FORMATS,
    full_type_name,
    Message,
    Report,
    Selection,
)

MAGIC = b'SQLite format 3\0'
HEADER_SIZE = 100  # bytes of the file's header, with which the first page begins
INNER, LEAF = 5, 13  # kinds of a table's pages
INTEGER_SIZES = {1: 1, 2: 2, 3: 3, 4: 4, 5: 6, 6: 8}  # bytes of a value by its kind
FIRST_BLOB = 12  # kinds from here on: even ones are blobs, odd ones texts
PAGES_AT_ONCE = 64
WAL_HEADER_SIZE, FRAME_HEADER_SIZE = 32, 24

Value = int | str | bytes | None


class Cell(NamedTuple):
    """
    A row as it lies in its page.

    :param size: bytes of the row.
    :param data: of them those that are in the page.
    :param overflow: page where the others begin; 0 for none.
    """

    row_id: int
    size: int
    data: bytes
    overflow: int


class PageError(ValueError):
    """A page or row that is cut off or broken."""


class Pages:
    """
    The pages of a database: those that its write-ahead log holds are the log's.

    The log is left by a recorder that was killed, and holds what it wrote last.
    """

    def __init__(self, path: Path) -> None:
        self._file = path.open('rb', buffering=2 ** 16)
        header = self._file.read(HEADER_SIZE).ljust(HEADER_SIZE, b'\0')
        size, = struct.unpack_from('>H', header, 16)
        self.size = 2 ** 16 if size == 1 else max(size, 512)
        self.usable = self.size - header[20]
        self.planned, = struct.unpack_from('>I', header, 28)
        self.file_size = path.stat().st_size
        log = log_of(path)
        self._log = log.open('rb') if log.exists() else None
        self._logged = self._find_logged()  # where the log holds a page, by its number
        self.count = max([-(-self.file_size // self.size), *self._logged])

    def close(self) -> None:
        """Close the files."""
        self._file.close()
        if self._log:
            self._log.close()

    def read(self, number: int) -> bytes:
        """Give a page, less of the last of a cut file; nothing behind the end."""
        if self._log and number in self._logged:
            self._log.seek(self._logged[number])
            return self._log.read(self.size)
        if not 0 < number <= self.count:
            return b''
        self._file.seek((number - 1) * self.size)
        return self._file.read(self.size)

    def leaves(self) -> Iterator[int]:
        """Give the numbers of all pages but the first that may hold rows, in order."""
        for first in range(1, self.count + 1, PAGES_AT_ONCE):
            self._file.seek((first - 1) * self.size)
            kinds = self._file.read(PAGES_AT_ONCE * self.size)[::self.size]
            for number in range(max(first, 2), min(first + PAGES_AT_ONCE, self.count + 1)):
                kind = self.read(number)[:1] if number in self._logged else \
                    kinds[number - first:number - first + 1]
                if kind == bytes([LEAF]):
                    yield number

    def cells(self, number: int) -> Iterator[Cell | None]:
        """Give the rows of a leaf; None for each that is cut off or broken."""
        page = self.read(number)
        at = HEADER_SIZE if number == 1 else 0
        if len(page) < at + 8 or page[at] != LEAF:
            return
        count, = struct.unpack_from('>H', page, at + 3)
        if count > self.size // 4:
            yield None
            return
        for index in range(at + 8, at + 8 + 2 * count, 2):
            try:
                yield self._cell(page, int.from_bytes(page[index:index + 2], 'big'))
            except PageError:
                yield None

    def content(self, cell: Cell) -> bytes:
        """
        Give the bytes of a row.

        :raises PageError: when some of them are not there.
        """
        if cell.size > self.count * self.size:
            raise PageError('a row is broken')
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

    def table(self, root: int) -> Iterator[tuple[int, list[Value]]]:
        """Give the rows of a small table by their ids, as far as its pages can be reached."""
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
            for cell in self.cells(number):
                try:
                    if cell:
                        yield cell.row_id, _values(self.content(cell))
                except PageError:
                    continue

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

    def _find_logged(self) -> dict[int, int]:
        header = self._log.read(WAL_HEADER_SIZE) if self._log else b''
        if len(header) < WAL_HEADER_SIZE or int.from_bytes(header[8:12], 'big') != self.size:
            return {}
        logged = {}
        position = WAL_HEADER_SIZE
        while len(frame := self._log.read(FRAME_HEADER_SIZE)) == FRAME_HEADER_SIZE:
            if frame[8:16] != header[16:24]:  # of an earlier use of the log
                break
            logged[int.from_bytes(frame[:4], 'big')] = position + FRAME_HEADER_SIZE
            position += FRAME_HEADER_SIZE + self.size
            self._log.seek(position)
        return logged


class SqliteFile:
    """
    A SQLite file of rosbag2, sound, cut or damaged; a `Salvage`.

    Topics are found through their table. Messages are looked for on all pages: in a cut or
    damaged file those pages are lost that lead to others.
    """

    def __init__(self, path: Path) -> None:
        self.name = path.name
        self.channels: dict[int, Channel] = {}
        self.start_ns: int | None = None
        self._pages = Pages(path)
        self._log_exists = log_of(path).exists()

    def close(self) -> None:
        """Close the file."""
        self._pages.close()

    def survey(self) -> bool:
        """Find topics and start; tell whether the file has what SQLite needs to read it."""
        roots = {values[1]: values[3] for _, values in self._pages.table(1)
                 if len(values) >= 5 and values[0] == 'table' and isinstance(values[3], int)}
        definitions = {}
        for _, values in self._table(roots, 'message_definitions', 4):
            _, name, encoding, text, *_ = values
            if encoding in FORMATS and isinstance(text, str):
                definitions.setdefault(name, MessageDefinition(FORMATS[encoding], text))
        for topic_id, values in self._table(roots, 'topics', 4):
            _, topic, name, encoding, *others = values
            if all(isinstance(value, str) for value in (topic, name, encoding)):
                self.channels[topic_id] = Channel(
                    topic, full_type_name(name), encoding, definitions.get(name, NO_DEFINITION),
                    others[0] if others and isinstance(others[0], str) else '')
        self._find_start()
        return not self._log_exists and {'topics', 'messages'} <= roots.keys() and \
            (bool(self.channels) or self.start_ns is None)

    def messages(self, selection: Selection, report: Report) -> Iterator[Message]:
        """Give what can be read and list what can't; after `survey`."""
        pages = self._pages
        if pages.file_size < max(HEADER_SIZE, pages.planned * pages.size):
            report.add(f'{self.name}, byte {pages.file_size}', 'the file is cut')
        elif not self._log_exists:
            report.add(self.name, 'SQLite can not read the file: messages are looked for page by '
                                  'page')
        seen, last_id = 0, 0
        for number in pages.leaves():
            place = f'{self.name}, byte {(number - 1) * pages.size}'
            for cell in pages.cells(number):
                head = _message_head(cell) if cell else None
                if not cell or not head:
                    continue
                seen, last_id = seen + 1, max(last_id, cell.row_id)
                channel = self.channels.get(head[0])
                if channel is None:
                    report.add(place, 'the topic of messages is lost', 1)
                elif selection.wants(channel, head[1]):
                    try:
                        yield channel, head[1], pages.content(cell)[head[2]:]
                    except PageError:
                        report.add(place, 'messages are cut off or damaged', 1)
        if last_id > seen:
            report.add(self.name, f'of {last_id} messages, whatever their topic, {last_id - seen} '
                                  'are on pages that are lost')

    def _table(self, roots: dict[str, int], name: str,
               columns: int) -> Iterator[tuple[int, list[Value]]]:
        if name in roots:
            for row_id, values in self._pages.table(roots[name]):
                if len(values) >= columns:
                    yield row_id, values

    def _find_start(self) -> None:
        for number in self._pages.leaves():
            heads = [_message_head(cell) for cell in self._pages.cells(number) if cell]
            if times := [head[1] for head in heads if head]:
                self.start_ns = min(times)
                return


def log_of(path: Path) -> Path:
    """Give the place of a database's write-ahead log."""
    return path.with_name(f'{path.name}-wal')


def _message_head(cell: Cell) -> tuple[int, int, int] | None:
    """Give topic id, time and where data begin in the row of a message; None for another row."""
    try:
        kinds, position = _kinds(cell.data)
        if len(kinds) != 4 or kinds[0] != 0 or kinds[3] < FIRST_BLOB or kinds[3] % 2:
            return None
        topic_id, position = _integer(cell.data, position, kinds[1])
        time_ns, position = _integer(cell.data, position, kinds[2])
    except PageError:
        return None
    return topic_id, time_ns, position


def _kinds(row: bytes) -> tuple[list[int], int]:
    """Give the kinds of a row's values, and where the values begin."""
    end, position = _varint(row, 0)
    kinds = []
    while position < end:
        kind, position = _varint(row, position)
        kinds.append(kind)
    return kinds, position


def _values(row: bytes) -> list[Value]:
    """Give the values of a row; numbers with a fraction occur in no table of a bag."""
    kinds, position = _kinds(row)
    values: list[Value] = []
    for kind in kinds:
        if kind >= FIRST_BLOB:
            end = position + (kind - FIRST_BLOB) // 2
            value = row[position:end]
            values.append(value.decode(errors='replace') if kind % 2 else value)
        elif kind == 0:
            values.append(None)
            end = position
        else:
            value, end = _integer(row, position, kind)
            values.append(value)
        position = end
    return values


def _integer(row: bytes, position: int, kind: int) -> tuple[int, int]:
    """Give a whole number, and where the next value begins."""
    if kind in (8, 9):  # the numbers 0 and 1
        return kind - 8, position
    if kind not in INTEGER_SIZES or position + INTEGER_SIZES[kind] > len(row):
        raise PageError('a row is broken')
    end = position + INTEGER_SIZES[kind]
    return int.from_bytes(row[position:end], 'big', signed=True), end


def _varint(data: bytes, position: int) -> tuple[int, int]:
    """Give a number of variable length, and where the next begins."""
    value = 0
    for index in range(9):
        if position >= len(data):
            raise PageError('a row is cut off')
        byte = data[position]
        position += 1
        if index == 8:
            return value << 8 | byte, position
        value = value << 7 | byte & 127
        if byte < 128:
            break
    return value, position
