# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Output folders as segret_evaluate leaves them, made of numbers."""

from collections.abc import Sequence
from dataclasses import dataclass
import json
from pathlib import Path

import numpy as np
from segret_ros.offline.evaluation.comparison import compare, Comparison
from segret_ros.offline.evaluation.output import column_names, columns_of, csv_lines, FORMAT, TIMES

CAMERA = '/camera/image_raw/compressed'
CLASSES = ('road', 'car')
SECOND = 1_000_000_000
HALF = (0.5, 0.5)
LINES = {'bag': 'drive', 'camera': CAMERA, **dict.fromkeys(TIMES, 1.0),
         'confidence': 0.9, 'unknown': 0.0, 'stability': 0.95, 'flicker': 0.01, 'change': 0}


@dataclass
class Frame:
    """
    One frame of an output folder.

    :param hits, unions: pixels by class; None without true labels.
    :param values: of other columns of `frames.csv`, where they are not those of `LINES`.
    """

    stamp_ns: int
    areas: Sequence[float]
    hits: Sequence[int] | None = None
    unions: Sequence[int] | None = None
    values: dict | None = None

    def line(self, classes: Sequence[str]) -> dict:
        """Return the fields of the frame's line by column."""
        line = {**LINES, 'stamp_ns': self.stamp_ns, 'time_ns': self.stamp_ns + 7}
        line |= {f'area_{name}': area for name, area in zip(classes, self.areas)}
        if self.hits is not None:
            ious = [hit / union for hit, union in zip(self.hits, self.unions) if union]
            line |= {'miou': np.mean(ious),
                     # Each wrong pixel is in the unions of its true and of its predicted class.
                     'pixel_accuracy': 2 * sum(self.hits) / (sum(self.unions) + sum(self.hits))}
            line |= {f'hit_{name}': hit for name, hit in zip(classes, self.hits)}
            line |= {f'union_{name}': union for name, union in zip(classes, self.unions)}
        return line | (self.values or {})


def write_folder(folder: Path, classes: Sequence[str], frames: Sequence[Frame],
                 **changes: dict) -> Path:
    """
    Write `metrics.json` and `frames.csv`; return the folder.

    :param changes: of parts of `metrics.json`, by their names.
    """
    folder.mkdir()
    lines = [frame.line(classes) for frame in frames]
    ious = [line['miou'] for line in lines if 'miou' in line]
    scores = {'mean_iou': float(np.mean(ious))} if ious else None  # right for one frame
    metrics = {
        'format': FORMAT,
        'model': {'name': folder.name, 'hash': folder.name, 'variant': 'nano',
                  'classes': list(classes), 'colors': [[9, 9, index] for index in
                                                       range(len(classes))],
                  'device': 'cpu', 'engine': 'ONNX Runtime'},
        'options': {'every': 1, 'start': None, 'stop': None, 'min_confidence': 0.0},
        'bags': [{'name': 'drive', 'frames': len(frames), 'damage': [],
                  'label_topics': {CAMERA: '/camera/segmentation/label'}}],
        'all': {'frames': len(frames), 'problems': {},
                'stability': {'pairs': len(frames) - 1, 'consistency': 0.9}, 'scores': scores}}
    for name, change in changes.items():
        metrics[name] |= change
    (folder / 'metrics.json').write_text(json.dumps(metrics))
    (folder / 'frames.csv').write_text(
        csv_lines(column_names(classes)) + csv_lines(columns_of(lines, classes)))
    return folder


def drive(hits: Sequence[tuple[int, int]], step_ns: int = SECOND) -> list[Frame]:
    """
    Return frames of 100 pixels, half of each class, with the given hits.

    A pixel that one class misses is labelled as the other one.
    """
    return [Frame(place * step_ns, HALF, (road, car), (100 - car, 100 - road))
            for place, (road, car) in enumerate(hits)]


def compared(folder: Path, a: Sequence[Frame], b: Sequence[Frame], **changes: dict) -> Comparison:
    """Compare two folders of two classes; `changes` are those of B."""
    return compare(write_folder(folder / 'a', CLASSES, a),
                   write_folder(folder / 'b', CLASSES, b, **changes))
