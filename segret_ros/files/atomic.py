# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Files that are complete or not there at all."""

from collections.abc import Iterator
from contextlib import contextmanager
import os
from pathlib import Path
import tempfile


@contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """
    Yield a path beside `path` to write to; it replaces `path` when the block succeeds.

    :param path: where the file belongs; its folder is created when missing.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f'.{path.name}.')
    os.close(descriptor)
    partial = Path(name)
    try:
        yield partial
        os.chmod(partial, 0o666 & ~_umask())
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def write_text(path: str | Path, text: str) -> None:
    """Write a text in UTF-8; what it can't encode is escaped."""
    with atomic_path(path) as partial:
        partial.write_text(text, encoding='utf-8', errors='backslashreplace')


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
