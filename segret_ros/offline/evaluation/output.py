# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""The files of an output folder, and the table of its frames."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
import csv
from dataclasses import dataclass
from io import StringIO
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from segret_ros.files.output_folder import Layout, WORK

FORMAT = 2  # of metrics.json and frames.csv; changes with their content
METRICS, FRAMES, RUN, REALTIME = 'metrics.json', 'frames.csv', 'run.json', 'realtime.json'
RESULT, REPORT, SELECT = 'result.mcap', 'report.html', 'select'
NODE_LOG = 'node.log'
JOBS = 'jobs.json'  # in the work
LAYOUT = Layout('segret_evaluate', (METRICS, FRAMES, RUN, REALTIME, RESULT, REPORT, NODE_LOG),
                signatures=(frozenset({METRICS, FRAMES, RUN}), frozenset({f'{WORK}/{JOBS}'})),
                live=frozenset({NODE_LOG}))

PLACE = ('bag', 'camera', 'stamp_ns', 'time_ns')
TEXTS = ('bag', 'camera', 'problem', 'reason', 'truth')
STAMPS = ('stamp_ns', 'time_ns')
TIMES = ('decode_ms', 'check_ms', 'resize_ms', 'network_ms', 'labels_ms', 'confidence_ms')
VALUES = ('confidence', 'unknown', 'stability', 'flicker', 'change')
SCORES = ('miou', 'pixel_accuracy')
BY_CLASS = AREA, HIT, UNION = ('area_', 'hit_', 'union_')  # before the names of the classes
WHOLE = ('change', HIT, UNION)  # beginnings of columns of whole numbers
LINES = 4096  # held as text at once
LONGEST_PAUSE_S = 60.0  # between two frames; more is a stop, or a clock that was set

Columns = dict[str, np.ndarray]
Json = dict[str, Any]


class EvaluationError(ValueError):
    """An evaluation that can't be done; the message names the cause, the rule and the way out."""


def column_names(classes: Sequence[str]) -> list[str]:
    """Return the names of all columns, for the classes of a model."""
    area, hit, union = ([prefix + name for name in classes] for prefix in BY_CLASS)
    return [*PLACE, 'problem', 'reason', 'truth', *TIMES, *VALUES, *area, *SCORES, *hit, *union]


def columns_of(rows: Sequence[Mapping[str, object]], classes: Sequence[str]) -> Columns:
    """
    Return frames as columns that `numpy.savez` stores without pickling.

    :param rows: values by column: times in ms, shares 0..1, pixels. Missing and empty ones become
        NaN or an empty text.
    :return: (frames,) each: str for `TEXTS`, int64 for `STAMPS`, else float64 with the six digits
        of `frames.csv`.
    """
    return {name: _column(name, [row.get(name, '') for row in rows])
            for name in column_names(classes)}


def _column(name: str, values: Sequence[Any]) -> np.ndarray:
    if name in TEXTS:
        return np.array(values, str)
    if name in STAMPS:
        return np.array(values, np.int64)
    return np.array([float(text or 'nan') for text in _number_texts(name, values)], np.float64)


def csv_lines(columns: Columns | Sequence[str]) -> str:
    """Return the lines of `frames.csv` for `columns_of`, or its first line for names."""
    lines = StringIO()
    writer = csv.writer(lines, lineterminator='\n')
    if isinstance(columns, Mapping):
        writer.writerows(zip(*(_texts(name, values.tolist())
                               for name, values in columns.items())))
    else:
        writer.writerow(columns)
    return lines.getvalue()


def _texts(name: str, values: Sequence[Any]) -> Iterable[object]:
    return values if name in TEXTS + STAMPS else _number_texts(name, values)


def _number_texts(name: str, values: Iterable[Any]) -> Iterator[str]:
    style = '.0f' if name.startswith(WHOLE) else '.6g'
    return ('' if value == '' or value != value else f'{value:{style}}' for value in values)


def join(parts: Iterable[Mapping[str, np.ndarray]], names: Sequence[str]) -> Columns:
    """
    Concatenate some columns of the parts of a table; no others are held in memory.

    :return: (frames,) each: str objects for `TEXTS`, int64 for `STAMPS`, else float32 with NaN for
        missing values.
    """
    found = {name: [_typed(name, np.array([], str))] for name in names}
    for part in parts:
        for name, values in found.items():
            values.append(_typed(name, part[name]))
    return {name: np.concatenate(values) for name, values in found.items()}


def _typed(name: str, values: np.ndarray) -> np.ndarray:
    if name in TEXTS:
        same = {text: text for text in values.tolist()}  # equal texts share one object
        return np.array([same[text] for text in values.tolist()], object)
    return values.astype(np.int64 if name in STAMPS else np.float32)


def read_columns(path: str | Path, wanted: Sequence[str] | None = None) -> Columns:
    """
    Read columns of `frames.csv`; no others are held in memory.

    :param wanted: names of columns; None for all.
    :return: as of `join`.
    :raises EvaluationError: naming a column or line that is missing or malformed.
    """
    with open(path, newline='', encoding='utf-8') as file:
        reader = csv.reader(file)
        header = next(reader, [])
        wanted = header if wanted is None else wanted
        if missing := [name for name in wanted if name not in header]:
            raise EvaluationError(f'{path}: no column {", ".join(missing)}; it has '
                                  f'{", ".join(header) or "none"}: evaluate again')
        return join(_parts(path, reader, {name: header.index(name) for name in wanted},
                           len(header)), wanted)


def _parts(path: str | Path, reader: Any, places: Mapping[str, int],
           width: int) -> Iterator[Columns]:
    """Yield the columns of `LINES` lines at a time, by their places in a line."""
    while lines := list(islice(reader, LINES)):
        for number, line in enumerate(lines, reader.line_num - len(lines) + 1):
            if len(line) != width:
                raise EvaluationError(f'{path}: line {number} has {len(line)} values for {width} '
                                      'columns: it is cut or damaged; evaluate again')
        part = {}
        for name, place in places.items():
            texts = [line[place] or ('' if name in TEXTS else 'nan') for line in lines]
            try:
                part[name] = _typed(name, np.array(texts, str))
            except ValueError as error:
                raise EvaluationError(f'{path}: column {name} up to line {reader.line_num} has no '
                                      f'number ({error}): evaluate again') from error
        yield part


@dataclass(frozen=True)
class Timeline:
    """
    When the frames of a drive were recorded, with its bags strung together.

    :param driven_s: (frames,) float64, ascending, since the very first frame. The time between two
        bags does not count, and pauses count up to `LONGEST_PAUSE_S`.
    :param starts: where each bag starts in `driven_s`, by its name.
    """

    driven_s: np.ndarray
    starts: dict[str, float]
    duration_s: float


def timeline(columns: Columns) -> Timeline:
    """
    Return the times of frames.

    :param columns: `bag` and `time_ns`, bag by bag.
    """
    bags = columns['bag']
    if not len(bags):
        return Timeline(np.zeros(0), {}, 0.0)
    is_first = np.append(True, bags[1:] != bags[:-1])
    steps = np.diff(columns['time_ns'], prepend=columns['time_ns'][0]) / 1e9
    driven_s = np.cumsum(np.where(is_first, 0, np.clip(steps, 0, LONGEST_PAUSE_S)))
    starts = {bags[row]: float(driven_s[row]) for row in np.flatnonzero(is_first)}
    return Timeline(driven_s, starts, float(driven_s[-1]))


def time_text(seconds: float) -> str:
    """Format a duration for readers."""
    if seconds < 120:
        return f'{seconds:.1f} s'
    minutes = round(seconds / 60)
    return f'{minutes} min' if minutes < 120 else f'{minutes // 60} h {minutes % 60} min'
