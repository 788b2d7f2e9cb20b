# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""The table of an evaluation's frames, `frames.csv`, as columns."""

from collections.abc import Sequence
import csv
from itertools import islice
from pathlib import Path

import numpy as np
from segret_ros.offline.evaluation.errors import EvaluationError

TEXTS = ('bag', 'camera', 'problem', 'reason', 'truth')
TIMES = ('stamp_ns', 'time_ns')
LINES = 4096  # that are held as text at once


def read_columns(path: str | Path, wanted: Sequence[str] | None = None) -> dict[str, np.ndarray]:
    """
    Give columns of `frames.csv` by name; memory is taken for these alone.

    :param wanted: names of columns; None takes all.
    :return: (frames,) each: str objects of `TEXTS`, int64 of `TIMES`, float32 of the others with
        NaN where there is no value.
    :raises EvaluationError: for a column or a line that is missing or malformed; names it.
    """
    with open(path, newline='', encoding='utf-8') as file:
        reader = csv.reader(file)
        header = next(reader, [])
        wanted = header if wanted is None else wanted
        if missing := [name for name in wanted if name not in header]:
            raise EvaluationError(f'{path}: no column {", ".join(missing)}; it has '
                                  f'{", ".join(header) or "none"}: evaluate again')
        places = {name: header.index(name) for name in wanted}
        parts = {name: [_values(name, [])] for name in wanted}
        while lines := list(islice(reader, LINES)):
            _check(path, lines, len(header), reader.line_num - len(lines))
            for name, place in places.items():
                try:
                    parts[name].append(_values(name, [line[place] for line in lines]))
                except ValueError as error:
                    raise EvaluationError(f'{path}: column {name} up to line {reader.line_num} '
                                          f'has no number ({error}): evaluate again') from error
    return {name: np.concatenate(part) for name, part in parts.items()}


def _values(name: str, texts: list[str]) -> np.ndarray:
    if name in TEXTS:
        same = {text: text for text in texts}  # one object for all that are equal
        return np.array([same[text] for text in texts], object)
    if name in TIMES:
        return np.array(texts, str).astype(np.int64)
    return np.array([text or 'nan' for text in texts], str).astype(np.float32)


def _check(path: str | Path, lines: list[list[str]], width: int, before: int) -> None:
    for number, line in enumerate(lines, before + 1):
        if len(line) != width:
            raise EvaluationError(f'{path}: line {number} has {len(line)} values for {width} '
                                  'columns: it is cut or damaged; evaluate again')
