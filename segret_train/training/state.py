# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""All that a run needs to go on: a file that is there whole or not at all."""

from collections.abc import Iterable
from pathlib import Path
import pickle
from typing import Any
import zipfile

from segret_ros.files.atomic import atomic_path
from segret_train.recipe import Recipe
import torch

NAME = 'last.pt'


class StateError(ValueError):
    """A state that can't go on; the message names the file and the way out."""


def save_state(folder: Path, recipe: Recipe, processes: int, state: dict[str, Any]) -> None:
    """
    Write a run's state.

    :param processes: that train together.
    :param state: tensors, numbers, texts, and lists and dictionaries of them.
    """
    with atomic_path(folder / NAME) as partial:
        torch.save({**state, 'recipe': recipe.values(), 'processes': processes}, partial)


def load_state(folder: Path, recipe: Recipe, processes: int) -> dict[str, Any] | None:
    """
    Give the state that a run in a folder left, or None for a new one.

    :raises StateError: for a damaged state, or one of another recipe or number of processes.
    """
    path = folder / NAME
    if not path.is_file():
        return None
    try:
        state = torch.load(path, map_location='cpu', weights_only=True)
        before = {**state['recipe'], 'processes': state['processes']}
    except (RuntimeError, pickle.UnpicklingError, zipfile.BadZipFile, EOFError, KeyError,
            TypeError, ValueError) as error:
        raise StateError(f'{path}: damaged; delete it to start anew') from error
    now = {**recipe.values(), 'processes': processes}
    changed = [f'{key} {before.get(key)}, not {value}' for key, value in now.items()
               if before.get(key) != value]
    if changed:
        raise StateError(f'{path} was made with {"; ".join(changed)}: give the same to go on, or '
                         'another --output to start anew')
    return state


def remove_leftovers(folder: Path, names: Iterable[str]) -> None:
    """Remove what a killed run had begun to write of some files, as `atomic_path` names it."""
    for name in names:
        for partial in folder.glob(f'.{name}.*'):
            partial.unlink()
