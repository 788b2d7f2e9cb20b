# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Scores as text tables."""

from collections.abc import Sequence
from string import ascii_uppercase
from typing import Any

from segret_ros.labels.metrics import Scores
from segret_ros.text_table import text_table

OVERALL = {'mean_iou': 'mean IoU', 'mean_accuracy': 'mean accuracy',
           'mean_boundary_f_score': 'boundary F-score', 'pixel_accuracy': 'pixel accuracy',
           'expected_calibration_error': 'calibration error'}
WITH_UNKNOWN = {'unknown_share': 'unknown', 'mean_iou_of_known': 'mean IoU of the rest',
                'pixel_accuracy_of_known': 'pixel accuracy of the rest'}
EQUAL = 'pixels labelled as by A'
ALIGN = ['left', 'right', 'right', 'right']


def table_of_one(names: Sequence[str], scores: Scores) -> str:
    """
    Format the scores of one model: a line for each class, their means, then those over pixels.

    :param names: of the classes.
    """
    rows = [*zip(names, scores.confusion.iou(), scores.confusion.accuracy(),
                 scores.boundary.scores()),
            ('mean', scores.confusion.mean_iou(), scores.confusion.mean_accuracy(),
             scores.boundary.mean())]
    summary = scores.summary()
    overall = [(title, summary[name]) for name, title in _titles([scores]).items()
               if not name.startswith('mean_') or name in WITH_UNKNOWN]
    blank: list[tuple[Any, ...]] = [('',)]
    lines = [(name, *map(_percent, values)) for name, *values in [*rows, *blank, *overall]]
    return text_table(lines, ['class', 'IoU', 'accuracy', 'boundary F'], ALIGN)


def table_of_some(names: Sequence[str], scores: Sequence[Scores], equal: Sequence[float]) -> str:
    """
    Format the scores of models side by side, and the difference of each from the first.

    :param names: of the classes.
    :param equal: share of pixels that each labels like the first.
    """
    summaries = [model.summary() for model in scores]
    rows = {title: [summary[name] for summary in summaries]
            for name, title in _titles(scores).items()}
    rows |= {f'IoU of {name}': values
             for name, *values in zip(names, *(model.confusion.iou() for model in scores))}
    letters = ascii_uppercase[:len(scores)]
    differences = [f'{letter} - A' for letter in letters[1:]]
    lines = [(title, *map(_percent, values), *(_points(value - values[0]) for value in values[1:]))
             for title, values in rows.items()]
    lines.append((EQUAL, *(f'{share:.3%}' for share in equal)))
    headers = ['', *letters, *differences]
    return text_table(lines, headers, ['left', *['right'] * (len(headers) - 1)])


def _titles(scores: Sequence[Scores]) -> dict[str, str]:
    unknown = any(model.confusion.unknown_share() > 0 for model in scores)
    return OVERALL | WITH_UNKNOWN if unknown else OVERALL


def _percent(value: float) -> str:
    return '-' if value != value else f'{value:.2%}'


def _points(difference: float) -> str:
    return '-' if difference != difference else f'{100 * difference:+.2f}'
