# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""What a run keeps in its folder as it proceeds: its state and its log, always written whole."""

from collections.abc import Iterable
from contextlib import suppress
import json
from pathlib import Path
import pickle
from typing import Any
import zipfile

from segret_ros.files.atomic import atomic_path
from segret_train.recipe import Values
import torch

SummaryWriter: Any = None
with suppress(ImportError):  # an optional dependency
    from torch.utils.tensorboard import SummaryWriter

STATE, LOG = 'last.pt', 'log.jsonl'


class StateError(ValueError):
    """A state that can't be resumed; the message names the file and the way out."""


def save_state(folder: Path, recipe: Values, processes: int, state: dict[str, Any]) -> None:
    """
    Write a run's state.

    :param processes: number of processes that train together.
    :param state: tensors, numbers, strings, and lists and dictionaries of them.
    """
    with atomic_path(folder / STATE) as partial:
        torch.save({**state, 'recipe': recipe.values(), 'processes': processes}, partial)


def load_state(folder: Path, recipe: Values, processes: int) -> dict[str, Any] | None:
    """
    Load the state that a run left in a folder, or return None if there is none.

    :raises StateError: for a corrupt state, or one of another recipe or number of processes.
    """
    path = folder / STATE
    if not path.is_file():
        return None
    try:
        state = torch.load(path, map_location='cpu', weights_only=True)
        before = {**state['recipe'], 'processes': state['processes']}
    except (RuntimeError, pickle.UnpicklingError, zipfile.BadZipFile, EOFError, KeyError,
            TypeError, ValueError) as error:
        raise StateError(f'{path}: corrupt; delete it to start over') from error
    now = {**recipe.values(), 'processes': processes}
    changed = [f'{key} {before.get(key)}, not {value}' for key, value in now.items()
               if before.get(key) != value]
    if changed:
        raise StateError(f'{path} was made with {"; ".join(changed)}: give the same values to '
                         'resume, or another --output to start over')
    return state


def remove_partial_files(folder: Path, names: Iterable[str]) -> None:
    """Remove what `atomic_path` left of some files in a run that was killed."""
    for name in names:
        for partial in folder.glob(f'.{name}.*'):
            partial.unlink()


class Log:
    """
    Records of a run, numbers by name, each with its `step`.

    TensorBoard shows each at once, where it is installed; the file has them once it is saved.

    :param folder: of the run.
    :param records: of a resumed run, those so far.
    """

    def __init__(self, folder: Path, records: list[dict[str, Any]]) -> None:
        self.records = records
        self._path = folder / LOG
        self._board = None
        if SummaryWriter is not None:
            self._board = SummaryWriter(str(folder / 'tensorboard'),
                                        purge_step=records[-1]['step'] + 1 if records else None)

    def add(self, record: dict[str, Any]) -> None:
        """Add a record."""
        self.records.append(record)
        if self._board is not None:
            for name, value in record.items():
                self._board.add_scalar(name, value, record['step'])
            self._board.flush()

    def save(self) -> None:
        """Write all records, one on each line."""
        with atomic_path(self._path) as partial:
            partial.write_text(''.join(json.dumps(record) + '\n' for record in self.records))
