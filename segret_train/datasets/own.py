# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""A custom data set: a folder, described by a YAML file of its classes."""

import colorsys
from pathlib import Path
from typing import Any

from segret_ros.files.yaml_file import read_yaml, YamlFileError
from segret_ros.labels.label_set import HOW_TO_WRITE, LabelSet
from segret_train.datasets.dataset import DataError, DataSet
from segret_train.datasets.ids import ColorTable, IdTable, IGNORE
from segret_train.datasets.layout import Layout

KEYS = ('name', 'source', 'classes', 'images', 'labels', 'color_coded', 'ignored')
CLASS_KEYS = ('name', 'color', 'id')
TEXTS = ('name', 'source', 'images', 'labels')
Entry = dict[Any, Any]
GOLDEN_RATIO = 0.618  # hues at multiples of this stay well apart


def read_own(path: Path, root: Path) -> DataSet:
    """
    Read the YAML file that describes a data set.

    :param path: has a list `classes` of `name`, `color` (RGB; generated if left out) and `id` (the
        value, or list of values, in the label images; the index in the list if left out). Optional
        are the `name` of the data set, `images` and `labels` (paths of `{split}` and `{name}`),
        `ignored` (values without a class; 255 if left out), and `color_coded: true` for label
        images in the classes' colours, where `ignored` is a list of colours.
    :param root: the folder with the images and labels.
    :raises DataError: if the file is missing or malformed.
    """
    try:
        described = read_yaml(path, TEXTS)
        _refuse_other_keys(described, KEYS)
        for entry in described['classes']:
            _refuse_other_keys(entry, CLASS_KEYS)
        labels = _labels(described['classes'])
        ids = _colors(described, labels) if described.get('color_coded') else _ids(described)
        return DataSet(described.get('name', path.stem), labels, root, _layout(described),
                       ids)
    except OSError as error:
        raise DataError(f'{path}: {error.strerror}; give the YAML file of your classes') from error
    except YamlFileError as error:
        raise DataError(f'{error}; {HOW_TO_WRITE}, see docs/your_own_data.md') from error
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise DataError(f'{path}: {error}; {HOW_TO_WRITE}, see docs/your_own_data.md') from error


def _refuse_other_keys(entry: Entry, keys: tuple[str, ...]) -> None:
    if other := [key for key in entry.keys() if key not in keys]:
        raise ValueError(f'{other[0]!r} is not one of the keys {", ".join(keys)}')


def _labels(classes: list[Entry]) -> LabelSet:
    return LabelSet(tuple(entry['name'] for entry in classes),
                    tuple(tuple(entry.get('color', _generated_color(number)))
                          for number, entry in enumerate(classes)))


def _generated_color(number: int) -> tuple[int, ...]:
    color = colorsys.hsv_to_rgb(number * GOLDEN_RATIO % 1, 0.7, 0.9)
    return tuple(round(255 * part) for part in color)


def _ids(described: Entry) -> IdTable:
    meanings: dict[Any, int] = {}
    for class_id, entry in enumerate(described['classes']):
        number = entry.get('id', class_id)
        for one in number if isinstance(number, list) else [number]:
            _add(meanings, one, class_id)
    for number in described.get('ignored', [] if IGNORE in meanings else [IGNORE]):
        _add(meanings, number, IGNORE)
    if wrong := [number for number in meanings
                 if not isinstance(number, int) or not 0 <= number <= 255]:
        raise ValueError(f'id {wrong[0]!r}: ids in label images are 0..255')
    return IdTable(meanings)


def _colors(described: Entry, labels: LabelSet) -> ColorTable:
    meanings: dict[Any, int] = {}
    for class_id, color in enumerate(labels.colors):
        _add(meanings, color, class_id)
    for color in described.get('ignored', []):
        LabelSet(('ignored',), (tuple(color),))  # checks the colour
        _add(meanings, tuple(color), IGNORE)
    return ColorTable(meanings)


def _add(meanings: dict[Any, int], key: object, class_id: int) -> None:
    if key in meanings:
        raise ValueError(f'{key} occurs twice among the classes and `ignored`')
    meanings[key] = class_id


def _layout(described: Entry) -> Layout:
    layout = Layout(described.get('images', 'images/{split}/{name}.jpg'),
                    described.get('labels', 'labels/{split}/{name}.png'))
    for pattern in (layout.images, layout.labels):
        if '{split}' not in pattern or pattern.count('/{name}') != 1:
            raise ValueError(f'{pattern}: a path contains {{split}} and, after a /, {{name}} once')
    return layout
