# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""From the values in label files to classes."""

from collections.abc import Iterable, Mapping
from pathlib import Path

import cv2
import numpy as np
from segret_ros.images.image_file import read_label, read_label_colors
from segret_ros.labels.label_set import UNKNOWN

IGNORE = UNKNOWN  # label of pixels without a class, which training and scores ignore
ABSENT = -1


class IdTable:
    """
    Maps the values of grey (or palette) label images to classes.

    :param classes: the class of each value, or `IGNORE`; other values are errors.
    """

    def __init__(self, classes: Mapping[int, int]) -> None:
        self._table = np.full(256, ABSENT, np.int16)
        for number, class_id in classes.items():
            self._table[number] = class_id

    def read(self, path: Path) -> np.ndarray:
        """
        Read the class ids of a label image.

        :return: (H, W) uint8, `IGNORE` where there is no class.
        :raises ImageError: for a file that is not a lossless grey or palette image.
        :raises ValueError: for a value without a meaning.
        """
        raw = read_label(path)
        found = cv2.LUT(raw, self._table)
        if found.min() == ABSENT:
            foreign = np.unique(raw[found == ABSENT]).tolist()
            raise ValueError(f'contains id {", ".join(map(str, foreign))}; labels have {self}')
        return found.astype(np.uint8)

    def __str__(self) -> str:
        return f'ids {_ranges(np.flatnonzero(self._table != ABSENT).tolist())}'


class ColorTable:
    """
    Maps the colours of coloured label images to classes.

    :param classes: the class of each RGB colour, or `IGNORE`; other colours are errors.
    """

    def __init__(self, classes: Mapping[tuple[int, int, int], int]) -> None:
        codes = _codes(np.array(list(classes), np.uint8).reshape(-1, 3))
        order = np.argsort(codes)
        self._codes = codes[order]
        self._classes = np.array(list(classes.values()), np.uint8)[order]

    def read(self, path: Path) -> np.ndarray:
        """
        Read the class ids of a label image.

        :return: (H, W) uint8, `IGNORE` where there is no class.
        :raises ImageError: for a file that is not a lossless colour image.
        :raises ValueError: for a colour without a meaning.
        """
        raw = read_label_colors(path)
        codes = _codes(raw)
        place = np.searchsorted(self._codes[:-1], codes)
        foreign = self._codes[place] != codes
        if foreign.any():
            raise ValueError(f'contains colour {raw[foreign][0].tolist()}; labels have {self}')
        return self._classes[place]

    def __str__(self) -> str:
        return f"the {len(self._codes)} colours of the YAML file's classes and `ignored`"


def consecutive(count: int, ignored: Iterable[int] = (), first: int = 0) -> IdTable:
    """
    Return the table of classes with consecutive values.

    :param ignored: values without a class.
    :param first: value of the first class.
    """
    return IdTable({**{first + class_id: class_id for class_id in range(count)},
                    **dict.fromkeys(ignored, IGNORE)})


def _codes(rgb: np.ndarray) -> np.ndarray:
    """Encode each colour as one number, (...) int32, from (..., 3) uint8."""
    red, green, blue = np.moveaxis(rgb.astype(np.int32), -1, 0)
    return red << 16 | green << 8 | blue


def _ranges(numbers: list[int]) -> str:
    """Format sorted numbers, runs of them as `first..last`."""
    starts = [number for number in numbers if number - 1 not in numbers]
    ends = [number for number in numbers if number + 1 not in numbers]
    return ', '.join(str(start) if start == end else f'{start}..{end}'
                     for start, end in zip(starts, ends))
