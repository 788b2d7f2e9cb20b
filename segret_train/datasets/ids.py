"""From the numbers in label files to classes."""

from collections.abc import Iterable, Mapping

import cv2
import numpy as np
from segret_ros.label_set import UNKNOWN

ABSENT = -1


class IdTable:
    """
    What each number of grey (or palette) label images means.

    :param classes: the class of each number, 255 for none; other numbers do not occur.
    """

    def __init__(self, classes: Mapping[int, int]) -> None:
        self._table = np.full(256, ABSENT, np.int16)
        for number, class_id in classes.items():
            self._table[number] = class_id

    def classes(self, raw: np.ndarray) -> np.ndarray:
        """
        Give the class ids of a label image.

        :param raw: (H, W) uint8.
        :return: (H, W) uint8, 255 where there is no class.
        :raises ValueError: for an image of another kind, or a number that has no meaning.
        """
        if raw.ndim != 2 or raw.dtype != np.uint8:
            raise ValueError(f'shape {raw.shape} of {raw.dtype}; a label is an 8-bit grey or '
                             f'palette PNG of {self}')
        found = cv2.LUT(raw, self._table)
        if found.min() == ABSENT:
            foreign = np.unique(raw[found == ABSENT]).tolist()
            raise ValueError(f'holds id {", ".join(map(str, foreign))}; labels are of {self}')
        return found.astype(np.uint8)

    def __str__(self) -> str:
        return f'ids {_ranges(np.flatnonzero(self._table != ABSENT).tolist())}'


class ColorTable:
    """
    What each colour of coloured label images means.

    :param classes: the class of each RGB colour, 255 for none; other colours do not occur.
    """

    def __init__(self, classes: Mapping[tuple[int, int, int], int]) -> None:
        codes = _codes(np.array(list(classes), np.uint8).reshape(-1, 3))
        order = np.argsort(codes)
        self._codes = codes[order]
        self._classes = np.array(list(classes.values()), np.uint8)[order]

    def classes(self, raw: np.ndarray) -> np.ndarray:
        """
        Give the class ids of a label image.

        :param raw: (H, W, 3) uint8 RGB.
        :return: (H, W) uint8, 255 where there is no class.
        :raises ValueError: for an image of another kind, or a colour that has no meaning.
        """
        if raw.ndim != 3 or raw.shape[2] != 3:
            raise ValueError(f'shape {raw.shape}; a label is an RGB PNG of {self}')
        codes = _codes(raw)
        place = np.searchsorted(self._codes[:-1], codes)
        foreign = self._codes[place] != codes
        if foreign.any():
            raise ValueError(f'holds colour {raw[foreign][0].tolist()}; labels are of {self}')
        return self._classes[place]

    def __str__(self) -> str:
        return f"the {len(self._codes)} colours of the YAML file's classes and `ignored`"


def consecutive(count: int, ignored: Iterable[int] = (), first: int = 0) -> IdTable:
    """
    Give the table of classes numbered in order.

    :param ignored: numbers without a class.
    :param first: number of the first class.
    """
    return IdTable({**{first + class_id: class_id for class_id in range(count)},
                    **dict.fromkeys(ignored, UNKNOWN)})


def _codes(rgb: np.ndarray) -> np.ndarray:
    """Give one number a colour, (...) int32, of (..., 3) uint8."""
    red, green, blue = np.moveaxis(rgb.astype(np.int32), -1, 0)
    return red << 16 | green << 8 | blue


def _ranges(numbers: list[int]) -> str:
    """Give sorted numbers as text, runs of them as `first..last`."""
    starts = [number for number in numbers if number - 1 not in numbers]
    ends = [number for number in numbers if number + 1 not in numbers]
    return ', '.join(str(start) if start == end else f'{start}..{end}'
                     for start, end in zip(starts, ends))
