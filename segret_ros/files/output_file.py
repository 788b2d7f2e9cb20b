# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Single files that commands write, without ever overwriting one that is not theirs."""

from collections.abc import Iterable
import mmap
import os
from pathlib import Path

from segret_ros.files.output_folder import OutputError, same

MODEL_MARK = 'segret.format'  # in each such file, those of earlier versions too
PAGE_MARK = '--accent: #2f6fbd;'
PICTURE_MARK = 'font-family="system-ui, -apple-system, Segoe UI,'
BENCH_MARK, SCORES_MARK = '"warm_up_runs":', '"share_equal_to_first":'


def claim_file(path: Path | None, inputs: Iterable[str | Path | None], mark: str) -> None:
    """
    Refuse to overwrite an input, or a file that is not such an output.

    :param path: None refuses nothing.
    :param inputs: files that the command reads; None is ignored.
    :param mark: text in each such output.
    :raises OutputError: naming the file.
    """
    if path is None:
        return
    for given in inputs:
        if given is not None and same(Path(path), Path(given)):
            raise OutputError(f'the output {path} is the input {given}: name another file')
    if not os.path.lexists(path):
        return
    if not path.is_file():
        raise OutputError(f'{path} is no file that can be replaced: name another')
    if not _holds(path, mark):
        raise OutputError(f'{path} is no earlier output of this kind: name another file, or move '
                          'that away')


def _holds(path: Path, mark: str) -> bool:
    """Return whether a file contains a text, or is empty."""
    with open(path, 'rb') as file:
        if not os.fstat(file.fileno()).st_size:
            return True
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            return content.find(mark.encode()) >= 0
