# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Decompression of whole data and of cut data."""

import bz2
from collections.abc import Callable, Iterator
import sys
from typing import BinaryIO

import lz4.frame

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

ZSTD_MAGIC = b'\x28\xb5\x2f\xfd'
PIECE = 2 ** 14  # bytes decompressed at once: the pieces before the damage are not lost
BLOCK = 2 ** 20
ERRORS = (zstd.ZstdError, RuntimeError, OSError, EOFError, ValueError, MemoryError)
WHOLE: dict[str, Callable[[bytes], bytes]] = {
    'zstd': zstd.decompress, 'lz4': lz4.frame.decompress, 'bz2': bz2.decompress}
STREAMS = {'zstd': zstd.ZstdDecompressor, 'lz4': lz4.frame.LZ4FrameDecompressor,
           'bz2': bz2.BZ2Decompressor}


class CompressionError(ValueError):
    """Data that can't be decompressed."""


def decompress(data: bytes, compression: str) -> bytes:
    """
    Decompress data.

    :param compression: `zstd`, `lz4`, `bz2`, or `none` or '' for data that are not compressed.
    :raises CompressionError: for damaged data and another compression.
    """
    if compression in ('', 'none'):
        return data
    if compression not in WHOLE:
        raise CompressionError(f'the compression {compression!r} is unknown')
    try:
        return WHOLE[compression](data)
    except ERRORS as error:
        raise CompressionError(f'{compression} data are damaged') from error


def decompress_start(data: bytes, compression: str) -> bytes:
    """Decompress cut data as far as possible."""
    if compression not in STREAMS:
        return data if compression in ('', 'none') else b''
    stream = STREAMS[compression]()
    parts = []
    try:
        for start in range(0, len(data), PIECE):
            if stream.eof:
                break
            parts.append(stream.decompress(data[start:start + PIECE]))
    except ERRORS:
        pass  # what came before is returned
    return b''.join(parts)


def decompress_file(source: BinaryIO, target: BinaryIO) -> bool:
    """Decompress a zstd file as far as possible; return whether it is whole."""
    stream = zstd.ZstdDecompressor()
    try:
        for piece in _pieces(source):
            while piece:  # a file may hold several frames
                if stream.eof:
                    stream = zstd.ZstdDecompressor()
                target.write(stream.decompress(piece))
                piece = stream.unused_data if stream.eof else b''
    except zstd.ZstdError:
        return False
    return stream.eof


def _pieces(source: BinaryIO) -> Iterator[bytes]:
    while block := source.read(BLOCK):
        for start in range(0, len(block), PIECE):
            yield block[start:start + PIECE]
