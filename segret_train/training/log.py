# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""What a run tells while it goes on: a file of records, and TensorBoard where it is installed."""

import json
from pathlib import Path

from segret_ros.files.atomic import atomic_path

try:
    from torch.utils.tensorboard import SummaryWriter
except ImportError:  # an optional dependency
    SummaryWriter = None

NAME = 'log.jsonl'


class Log:
    """
    Records of a run, numbers by name, each with its `step`.

    :param folder: of the run.
    :param records: those of before, of a run that goes on.
    """

    def __init__(self, folder: Path, records: list[dict]) -> None:
        self.records = records
        self._path = folder / NAME
        self._board = None
        if SummaryWriter is not None:
            self._board = SummaryWriter(str(folder / 'tensorboard'),
                                        purge_step=records[-1]['step'] + 1 if records else None)

    def add(self, record: dict) -> None:
        """Take in a record; TensorBoard has it at once, the file when it is saved."""
        self.records.append(record)
        if self._board is not None:
            for name, value in record.items():
                self._board.add_scalar(name, value, record['step'])
            self._board.flush()

    def save(self) -> None:
        """Write all records, a line each."""
        with atomic_path(self._path) as partial:
            partial.write_text(''.join(json.dumps(record) + '\n' for record in self.records))

    def close(self) -> None:
        """End TensorBoard's file."""
        if self._board is not None:
            self._board.close()
