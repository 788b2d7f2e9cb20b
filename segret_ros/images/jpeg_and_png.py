# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Where a JPEG or PNG file ends and how large its image is, read without decoding it."""

import re
import struct
from typing import NamedTuple

from segret_ros.images.error import ImageError

JPEG_START = b'\xff\xd8\xff'
PNG_START = b'\x89PNG\r\n\x1a\n'
PNG_END = b'\0\0\0\0IEND\xaeB`\x82'
WAY_OUT = 'send whole JPEG or PNG files'
MOST_PARTS = 100_000  # segments or chunks; a file of many small ones would take seconds

# The next marker except those within a scan: stuffed bytes, fill bytes and restarts.
MARKER = re.compile(rb'\xff[^\x00\x01\xd0-\xd7\xff]')
END_OF_IMAGE, START_OF_SCAN = 0xd9, 0xda
START_OF_FRAME = frozenset(range(0xc0, 0xd0)) - {0xc4, 0xc8, 0xcc}
# Tables, further scans, comments and applications' data; no other marker is within a picture.
WITHIN_PICTURE = frozenset((0xc4, 0xcc, 0xda, 0xdb, 0xdc, 0xdd, 0xfe, *range(0xe0, 0xf0)))


class Extent(NamedTuple):
    """
    The size of an image and of its file.

    :param length: bytes up to the end of the file; what follows does not belong to it.
    """

    width: int
    height: int
    length: int


def file_extent(content: memoryview) -> Extent | None:
    """
    Return the size and end of a JPEG or PNG file, or None if the content is neither.

    :param content: the file, of format B, and whatever follows its end.
    :raises ImageError: for a file that is cut short, or whose header is corrupt.
    """
    if content[:len(JPEG_START)] == JPEG_START:
        return _jpeg_extent(content)
    if content[:len(PNG_START)] == PNG_START:
        return _png_extent(content)
    return None


def _jpeg_extent(content: memoryview) -> Extent:
    size, scanned, position = None, False, 2
    for _ in range(MOST_PARTS):
        found = MARKER.search(content, position)
        if found is None:
            break
        if not scanned and content[position] != 0xff:
            raise _damaged('JPEG', 'head')
        marker, position = content[found.end() - 1], found.end()
        if marker == END_OF_IMAGE and size is not None:
            return Extent(*size, position)
        if marker not in WITHIN_PICTURE and (marker not in START_OF_FRAME or size is not None):
            # as where another file follows a cut one
            raise _damaged('JPEG', 'data' if scanned else 'head')
        if position + (7 if marker in START_OF_FRAME else 2) > len(content):
            break
        if marker in START_OF_FRAME:
            height, width = struct.unpack_from('>HH', content, position + 3)
            size = width, height
        scanned = scanned or marker == START_OF_SCAN
        position += struct.unpack_from('>H', content, position)[0]
    raise _cut('JPEG')


def _png_extent(content: memoryview) -> Extent:
    position = len(PNG_START)
    if len(content) < position + 16:
        raise _cut('PNG')
    length, name, width, height = struct.unpack_from('>I4sII', content, position)
    if (length, name) != (13, b'IHDR'):
        raise _damaged('PNG', 'head')
    for _ in range(MOST_PARTS):
        if position + len(PNG_END) > len(content):
            break
        if content[position:position + len(PNG_END)] == PNG_END:
            return Extent(width, height, position + len(PNG_END))
        position += struct.unpack_from('>I', content, position)[0] + 12
    raise _cut('PNG')


def _cut(name: str) -> ImageError:
    return ImageError(f'a {name} file without its end', f'it is cut: {WAY_OUT}')


def _damaged(name: str, part: str) -> ImageError:
    return ImageError(f'a {name} file of damaged {part}', WAY_OUT)
