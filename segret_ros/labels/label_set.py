# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Class names and colours of a data set."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from segret_ros.files.share import share_directory
from segret_ros.files.yaml_file import read_yaml, YamlFileError

UNKNOWN = 255  # label id of a pixel without a class
HOW_TO_WRITE = 'write a list `classes` of {name: road, color: [128, 64, 128]}'


class LabelSetError(ValueError):
    """A label set that is missing or malformed."""


@dataclass(frozen=True)
class LabelSet:
    """
    The classes of a network, in id order.

    :param names: one for each class.
    :param colors: RGB 0..255, one for each class.
    """

    names: tuple[str, ...]
    colors: tuple[tuple[int, int, int], ...]

    def __post_init__(self) -> None:
        if not self.names or len(self.names) != len(self.colors):
            raise LabelSetError(f'{len(self.names)} class names and {len(self.colors)} colours: '
                                'a label set has at least one class, and one colour for each')
        if len(self.names) > UNKNOWN:
            raise LabelSetError(f'{len(self.names)} classes: ids are 0..254, {UNKNOWN} is unknown')
        if wrong := [name for name in self.names if not isinstance(name, str)]:
            raise LabelSetError(f'class name {wrong[0]!r}: it must be a string')
        repeated = {name for name in self.names if self.names.count(name) > 1}
        if repeated:
            raise LabelSetError(f'class names occur twice: {", ".join(sorted(repeated))}')
        for name, color in zip(self.names, self.colors):
            if len(color) != 3 or not all(isinstance(c, int) and 0 <= c <= 255 for c in color):
                raise LabelSetError(f'colour {color} of {name!r}: '
                                    'it must be three integers 0..255')

    def __len__(self) -> int:
        return len(self.names)

    def color_table(self) -> np.ndarray:
        """Return (256, 3) uint8 RGB by label id; ids without a class are black."""
        table = np.zeros((256, 3), np.uint8)
        table[:len(self)] = self.colors
        return table


def class_difference(there: Sequence[str], here: Sequence[str]) -> str:
    """Describe briefly how two lists of class names differ; empty if they are equal."""
    if len(there) != len(here):
        return f'{len(there)} there, {len(here)} here'
    return next((f'class {number} is {theirs!r} there, {ours!r} here'
                 for number, (theirs, ours) in enumerate(zip(there, here)) if theirs != ours), '')


def load_label_set(name_or_path: str | Path) -> LabelSet:
    """
    Load a label set of `config/label_sets` by name, or any other by path.

    :param name_or_path: `camvid`, `cityscapes`, `ade20k`, `coco_stuff`, `mapillary_vistas`, or a
        YAML file with a list `classes` of `name` and `color`.
    :raises LabelSetError: for a name that does not exist or a malformed file.
    """
    folder = share_directory() / 'config' / 'label_sets'
    path = Path(name_or_path)
    if path.suffix not in ('.yaml', '.yml'):
        path = folder / f'{name_or_path}.yaml'
    if not path.is_file():
        known = ', '.join(sorted(file.stem for file in folder.glob('*.yaml')))
        raise LabelSetError(f'no label set {name_or_path}: name one of {known}, or a YAML file')
    try:
        classes = read_yaml(path, texts=('name',))['classes']
        return LabelSet(tuple(entry['name'] for entry in classes),
                        tuple(tuple(entry['color']) for entry in classes))
    except OSError as error:
        raise LabelSetError(f'{path}: {error.strerror}') from error
    except YamlFileError as error:
        raise LabelSetError(f'{error}; {HOW_TO_WRITE}') from error
    except (KeyError, TypeError, LabelSetError) as error:
        raise LabelSetError(f'{path}: {error}; {HOW_TO_WRITE}') from error
