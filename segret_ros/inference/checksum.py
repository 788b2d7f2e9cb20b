# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""The checksum embedded in a model file, so that corrupt files are refused."""

import hashlib
import re

KEY = 'segret.sha256'
UNKNOWN = '0' * 64  # in place of the checksum while it is computed
# As onnx.proto has a metadata property: field 1 the key, field 2 the value, each with its length.
ENTRY = re.compile(b'\x0a\x0d' + re.escape(KEY.encode()) + b'\x12\x40(.{64})', re.DOTALL)


def sealed(content: bytes) -> bytes:
    """
    Return a model file's content with its checksum.

    :param content: of an ONNX file whose metadata holds `KEY` once, with the value `UNKNOWN`.
    """
    start = _entries(content)[0]
    return content[:start] + _digest(content, start) + content[start + 64:]


def is_sound(content: bytes) -> bool | None:
    """
    Return whether a model file's content is what was written.

    :return: None for a file without a checksum, as older versions wrote them.
    """
    entries = _entries(content)
    if not entries:
        return None
    start = entries[0]
    return len(entries) == 1 and _digest(content, start) == content[start:start + 64]


def _entries(content: bytes) -> list[int]:
    """Return where the value of each entry begins."""
    return [match.start(1) for match in ENTRY.finditer(content)]


def _digest(content: bytes, start: int) -> bytes:
    """Return the SHA-256 of all but the checksum itself, in hexadecimal digits."""
    digest = hashlib.sha256(memoryview(content)[:start])
    digest.update(UNKNOWN.encode())
    digest.update(memoryview(content)[start + 64:])
    return digest.hexdigest().encode()
