# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
Which GPUs a library has code for, as `cuobjdump --list-elf --list-ptx` would list it.

CUDA's compiler leaves fat binaries in the section `.nv_fatbin` of an ELF file, one after another:
a header, then entries, each with a header of its own, the kind of its code and the compute
capability that it was compiled for. The layout is not documented; it is that of the wheels of
ONNX Runtime 1.23 to 1.31.
"""

from collections.abc import Iterator
from functools import cache
from mmap import ACCESS_READ, mmap
from pathlib import Path
import struct
from typing import NamedTuple

SECTION = b'.nv_fatbin\0'
MAGIC = struct.pack('<IH', 0xBA55ED50, 1)  # begins a fat binary, with its version
PTX, ELF = 1, 2  # kinds of code


class Code(NamedTuple):
    """
    Code for GPUs.

    :param kind: `ELF` runs as it is, the driver compiles `PTX`.
    :param capability: compute capability times ten: 87 is 8.7.
    """

    kind: int
    capability: int

    def runs_on(self, capability: int) -> bool:
        """Return whether a GPU of a compute capability, times ten, runs it."""
        same_major = self.capability // 10 == capability // 10
        return self.capability <= capability and (same_major or self.kind == PTX)


@cache
def code_in(library: Path) -> frozenset[Code]:
    """
    Return the code in a 64-bit ELF file; none where it has no code for GPUs, or unknown kinds.

    Reads the headers alone: 0.2 s for a library of 280 MB.
    """
    with library.open('rb') as file, mmap(file.fileno(), 0, access=ACCESS_READ) as data:
        return frozenset(code for start, end in _sections(data)
                         for code in _codes(data, start, end) if code.kind in (PTX, ELF))


def _sections(data: mmap) -> Iterator[tuple[int, int]]:
    """Yield start and end of each section of the name `SECTION`."""
    table, = struct.unpack_from('<Q', data, 40)
    size, count, names = struct.unpack_from('<3H', data, 58)
    headers = [struct.unpack_from('<2I4Q', data, table + index * size) for index in range(count)]
    for name, _, _, _, start, length in headers:
        name += headers[names][4]
        if data[name:name + len(SECTION)] == SECTION:
            yield start, start + length


def _codes(data: mmap, start: int, end: int) -> Iterator[Code]:
    while (start := data.find(MAGIC, start, end)) >= 0:  # there is padding between fat binaries
        header, length = struct.unpack_from('<HQ', data, start + 6)
        entry, start = start + header, start + header + length
        while entry < start:
            kind, _, header, length = struct.unpack_from('<2HIQ', data, entry)
            yield Code(kind, *struct.unpack_from('<I', data, entry + 28))
            entry += header + length
