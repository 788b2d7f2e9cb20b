# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""The lines of `frames.csv`."""

from collections.abc import Mapping, Sequence
import csv
from io import StringIO

PLACE = ('bag', 'camera', 'stamp_ns', 'time_ns', 'problem', 'reason', 'truth')
TIMES = ('decode_ms', 'check_ms', 'resize_ms', 'network_ms', 'labels_ms', 'confidence_ms')
VALUES = ('confidence', 'unknown', 'stability', 'flicker', 'change')
SCORES = ('miou', 'pixel_accuracy')
BY_CLASS = ('area_', 'hit_', 'union_')  # before the names of the classes


def columns(names: Sequence[str]) -> list[str]:
    """
    Give the table's columns.

    :param names: of the classes.
    """
    area, hit, union = ([prefix + name for name in names] for prefix in BY_CLASS)
    return [*PLACE, *TIMES, *VALUES, *area, *SCORES, *hit, *union]


def head(names: Sequence[str]) -> str:
    """Give the table's first line."""
    return _line(columns(names))


def row(values: Mapping[str, object], names: Sequence[str]) -> str:
    """
    Give a frame's line; what it has no value for stays empty.

    :param values: by column; times in ms, shares 0..1, pixels.
    :param names: of the classes.
    """
    return _line([_text(values.get(column, '')) for column in columns(names)])


def _line(texts: Sequence[str]) -> str:
    line = StringIO()
    csv.writer(line, lineterminator='\n').writerow(texts)
    return line.getvalue()


def _text(value: object) -> str:
    if isinstance(value, float):
        return '' if value != value else f'{value:.6g}'  # NaN is no value
    return str(value)
