# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Decompression of whole data and of cut data."""

import bz2
from collections.abc import Callable
from io import BytesIO
import sys
from typing import BinaryIO

import lz4.frame

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

ZSTD_MAGIC = b'\x28\xb5\x2f\xfd'
PIECE = 2 ** 14  # bytes decompressed at once: the pieces before the damage are not lost
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
    :raises CompressionError: for corrupt data and another compression.
    """
    if compression in ('', 'none'):
        return data
    if compression not in WHOLE:
        raise CompressionError(f'the compression {compression!r} is unknown')
    try:
        return WHOLE[compression](data)
    except ERRORS as error:
        raise CompressionError(f'{compression} data are corrupt') from error


def decompress_start(data: bytes, compression: str) -> bytes:
    """Decompress cut data as far as possible."""
    if compression not in STREAMS:
        return data if compression in ('', 'none') else b''
    content = BytesIO()
    decompress_stream(BytesIO(data), content, compression)
    return content.getvalue()


def decompress_stream(source: BinaryIO, target: BinaryIO, compression: str) -> bool:
    """Decompress a file as far as possible; return whether it is whole."""
    stream = STREAMS[compression]()
    while piece := source.read(PIECE):
        while piece:  # there may be several frames
            if stream.eof:
                stream = STREAMS[compression]()
            try:
                content = stream.decompress(piece)
            except ERRORS:
                return False
            target.write(content)
            piece = stream.unused_data if stream.eof else b''
    return stream.eof
