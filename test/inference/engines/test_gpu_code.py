# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""The code for GPUs in a library, read from small ELF files that are made here."""

from pathlib import Path
import struct

import pytest
from segret_ros.inference.engines.gpu_code import Code, code_in, ELF, PTX

HEADER, SECTION_HEADER = 64, 64  # bytes in a 64-bit ELF file


def entry(kind: int, capability: int, payload: bytes = b'code') -> bytes:
    """Return code as a fat binary holds it."""
    size = -(-len(payload) // 8) * 8
    header = struct.pack('<2HIQ3I', kind, 0x101, 64, size, len(payload), 0, 0)
    return (header + struct.pack('<I', capability)).ljust(64, b'\0') + payload.ljust(size, b'\0')


def fat_binary(*entries: bytes) -> bytes:
    """Return a fat binary."""
    content = b''.join(entries)
    return struct.pack('<I2HQ', 0xBA55ED50, 1, 16, len(content)) + content


def elf(path: Path, sections: dict[bytes, bytes]) -> Path:
    """Write a 64-bit ELF file of some sections, and that of their names."""
    sections = {b'': b'', **sections, b'.shstrtab': b''}
    names = b'\0'.join(sections) + b'\0'
    sections[b'.shstrtab'] = names
    headers, contents, at = b'', b'', HEADER
    for name, content in sections.items():
        headers += struct.pack('<2I4Q2I2Q', names.index(name + b'\0'), 1, 0, 0, at, len(content),
                               0, 0, 1, 0)
        contents, at = contents + content, at + len(content)
    ends = struct.pack('<3H', SECTION_HEADER, len(sections), len(sections) - 1)
    path.write_bytes(b'\x7fELF'.ljust(40, b'\0') + struct.pack('<Q', at) + bytes(10) + ends
                     + contents + headers)
    return path


def test_the_code_of_all_fat_binaries_is_found(tmp_path: Path) -> None:
    first = fat_binary(entry(ELF, 89), entry(ELF, 90, bytes(1000)))
    second = fat_binary(entry(PTX, 90, b'.version'), entry(16, 75), entry(ELF, 120))
    library = elf(tmp_path / 'library.so', {
        b'.text': fat_binary(entry(ELF, 60)),  # not where code for GPUs is
        b'.nv_fatbin': first + bytes(24) + second + bytes(8)})  # with padding between them
    assert code_in(library) == {Code(ELF, 89), Code(ELF, 90), Code(PTX, 90), Code(ELF, 120)}


@pytest.mark.parametrize('sections', [
    {b'.text': b'code'}, {b'.nv_fatbin': b''}, {b'.nv_fatbin': bytes(64)},
    {b'.nv_fatbin': fat_binary(entry(ELF, 90)).replace(b'\x01\0\x10\0', b'\x02\0\x10\0', 1)}])
def test_a_library_may_have_none_that_is_known(tmp_path: Path, sections: dict[bytes, bytes]
                                               ) -> None:
    assert code_in(elf(tmp_path / 'library.so', sections)) == set()


@pytest.mark.parametrize(('code', 'capability', 'runs'), [
    (Code(ELF, 80), 80, True), (Code(ELF, 80), 87, True), (Code(ELF, 89), 87, False),
    (Code(ELF, 90), 100, False), (Code(ELF, 120), 121, True), (Code(ELF, 100), 110, False),
    (Code(PTX, 90), 90, True), (Code(PTX, 90), 120, True), (Code(PTX, 90), 89, False)])
def test_where_code_runs(code: Code, capability: int, runs: bool) -> None:
    assert code.runs_on(capability) == runs
