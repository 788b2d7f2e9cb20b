# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""A finished output folder, as far as a comparison reads it."""

from collections import Counter
from collections.abc import Sequence
import csv
from dataclasses import dataclass, fields, replace
from itertools import chain
import json
from pathlib import Path

import numpy as np
from segret_ros.offline.evaluation.output import (
    AREA,
    column_names,
    EvaluationError,
    FORMAT,
    FRAMES,
    HIT,
    Json,
    METRICS,
    PLACE,
    read_columns,
    UNION,
)

VALUES = ('confidence', 'unknown', 'stability', 'flicker', 'miou', 'pixel_accuracy')
BY_CLASS = {'areas': AREA, 'hits': HIT, 'unions': UNION}  # before a class's name


@dataclass(frozen=True)
class Frames:
    """
    The frames of an evaluation, in the order of `frames.csv`; NaN where a frame has no value.

    :param series: the cameras' names: pairs of bag and camera.
    :param series_index: (frames,) int32, place in `series`.
    :param stamp_ns, time_ns: (frames,) int64, of the image and of its recording.
    :param confidence, unknown, stability, flicker, miou, pixel_accuracy: (frames,) float32, 0..1.
    :param areas: (frames, classes) float32, share of the pixels.
    :param hits, unions: (frames, classes) int32 pixels; 0 without true labels.
    """

    series: tuple[tuple[str, str], ...]
    series_index: np.ndarray
    stamp_ns: np.ndarray
    time_ns: np.ndarray
    confidence: np.ndarray
    unknown: np.ndarray
    stability: np.ndarray
    flicker: np.ndarray
    miou: np.ndarray
    pixel_accuracy: np.ndarray
    areas: np.ndarray
    hits: np.ndarray
    unions: np.ndarray

    def __len__(self) -> int:
        return len(self.stamp_ns)

    def labelled(self) -> np.ndarray:
        """Return which frames have pixels with a true label, (frames,) bool."""
        return np.any(self.unions > 0, axis=1)

    def pixels(self) -> np.ndarray:
        """
        Count the pixels of each frame that have a true label, (frames,) int64.

        They follow from the hits and the pixel accuracy. Without a hit they are half of the
        unions: each pixel is in that of its true class and in that of its predicted one.
        """
        hits, unions = (counts.sum(1, dtype=np.int64) for counts in (self.hits, self.unions))
        whole = np.divide(hits, self.pixel_accuracy, out=unions / 2, where=hits > 0,
                          dtype=np.float64)
        return np.rint(whole).astype(np.int64)

    def take(self, places: np.ndarray) -> 'Frames':
        """Return some of the frames by their places."""
        return replace(self, **{field.name: getattr(self, field.name)[places]
                                for field in fields(self) if field.name != 'series'})


@dataclass(frozen=True)
class Evaluation:
    """A finished evaluation."""

    folder: Path
    metrics: Json
    classes: tuple[str, ...]
    colors: tuple[tuple[int, int, int], ...]
    frames: Frames

    @property
    def model(self) -> Json:
        """Return what `metrics.json` says about the model."""
        return self.metrics['model']

    @property
    def options(self) -> Json:
        """Return the options of the evaluation."""
        return self.metrics['options']

    @property
    def title(self) -> str:
        """Return the model and what it ran on."""
        parts = [str(self.model[key]) for key in ('variant', 'engine', 'device')
                 if self.model.get(key)]
        return f'{self.model.get("name", "a model")} ({", ".join(parts)})'


def read_evaluation(folder: str | Path) -> Evaluation:
    """
    Read a finished output folder.

    :raises EvaluationError: for a folder that is missing, not finished, of another format or
        damaged.
    """
    folder = Path(folder)
    metrics = read_metrics(folder)
    try:
        classes = tuple(metrics['model']['classes'])
        colors = tuple((int(red), int(green), int(blue))
                       for red, green, blue in metrics['model']['colors'])
        count = int(metrics['all']['frames'])
        usable = (isinstance(metrics['options'], dict) and len(classes) == len(colors) > 0
                  and len(set(classes)) == len(classes)
                  and all(isinstance(name, str) for name in classes))
    except (KeyError, TypeError, ValueError):
        usable = False
    if not usable:
        raise EvaluationError(f'{folder / METRICS}: lacks the classes, colours, options or number '
                              'of frames as segret_evaluate writes them: evaluate again')
    frames = _read_frames(folder / FRAMES, classes)
    if len(frames) != count:
        raise EvaluationError(f'{folder / FRAMES}: has {len(frames)} frames, {METRICS} counts '
                              f'{count}: one of the two is cut or of another run; evaluate again')
    return Evaluation(folder, metrics, classes, colors, frames)


def read_metrics(folder: Path) -> Json:
    """
    Read the `metrics.json` of a folder.

    :raises EvaluationError: when it is missing, damaged or of another format.
    """
    path = folder / METRICS
    if not folder.is_dir():
        raise EvaluationError(f'{folder}: no such folder; name an output folder of '
                              'segret_evaluate')
    if not path.is_file():
        raise EvaluationError(f'{folder}: has no {METRICS}, so the evaluation is not finished; '
                              'go on with segret_evaluate --resume')
    try:
        metrics = json.loads(path.read_bytes())
    except ValueError as error:
        raise EvaluationError(f'{path}: is damaged ({error}); evaluate again') from error
    version = metrics.get('format') if isinstance(metrics, dict) else None
    if version != FORMAT:
        raise EvaluationError(f'{path}: is of format {version}, this version reads {FORMAT}; '
                              'evaluate again with this version')
    return metrics


def _read_frames(path: Path, classes: Sequence[str]) -> Frames:
    if not path.is_file():
        raise EvaluationError(f'{path}: is missing, so the evaluation is not finished; go on with '
                              'segret_evaluate --resume')
    by_class = {name: [prefix + one for one in classes] for name, prefix in BY_CLASS.items()}
    try:
        _check_ends(path, column_names(classes))
        table = read_columns(path, [*PLACE, *VALUES, *chain(*by_class.values())])
    except (csv.Error, OverflowError, UnicodeDecodeError) as error:
        raise EvaluationError(f'{path}: is cut or damaged ({error}); evaluate again') from error
    cameras = list(zip(table.pop('bag'), table.pop('camera')))
    series = {camera: index for index, camera in enumerate(dict.fromkeys(cameras))}
    stacked = {name: np.column_stack([table.pop(column) for column in names])
               for name, names in by_class.items()}
    _check_counts(path, stacked['hits'], stacked['unions'], table['pixel_accuracy'])
    for name in ('hits', 'unions'):
        stacked[name] = np.nan_to_num(stacked[name]).astype(np.int32)
    return Frames(tuple(series), np.array([series[camera] for camera in cameras], np.int32),
                  **table, **stacked)


def _check_ends(path: Path, wanted: list[str]) -> None:
    """Refuse a table whose first line has other columns, or whose last line has no end."""
    with open(path, 'rb') as file:
        file.seek(max(path.stat().st_size - 1, 0))
        if file.read() != b'\n':
            raise EvaluationError(f'{path}: its last line is cut; evaluate again')
    with open(path, newline='', encoding='utf-8') as file:
        header = next(csv.reader(file))
    odd = [name for name in dict.fromkeys([*wanted, *header])
           if header.count(name) != wanted.count(name)]
    if odd:
        raise EvaluationError(f'{path}: column {odd[0]!r} is missing, unknown or repeated, by the '
                              f'classes of {METRICS}; evaluate again with this version')


def _check_counts(path: Path, hits: np.ndarray, unions: np.ndarray, accuracy: np.ndarray) -> None:
    """Refuse counts of pixels that no image has; NaN is none."""
    counts = np.concatenate([hits, unions], 1)
    given = ~np.isnan(counts)
    wrong = ((given.any(1) & ~given.all(1)) | (counts < 0).any(1) | (counts >= 2 ** 31).any(1)
             | (hits > unions).any(1) | ((hits > 0).any(1) & ~(accuracy > 0)))
    if wrong.any():
        raise EvaluationError(f'{path}: frame {1 + wrong.argmax()} has counts of some classes '
                              'only, or more hits than the union or the pixel accuracy allow: it '
                              'is damaged; evaluate again')


def pair(a: Frames, b: Frames) -> tuple[Frames, Frames]:
    """
    Return the frames that both have, by bag, camera and stamp.

    Frames whose stamp is zero, or occurs twice for a camera in one of the two, are paired by
    recording time as well. Frames that are equal even so are paired in their order if both
    evaluations have equally many of them; else they are left out.

    :return: those of A and those of B, with the same `series` and in the same order: camera by
        camera, in the order of stamps.
    """
    series = tuple(sorted({*a.series, *b.series}))
    keys = [[(series.index(frames.series[camera]), stamp_ns) for camera, stamp_ns in
             zip(frames.series_index, frames.stamp_ns.tolist())] for frames in (a, b)]
    counts = [Counter(of_one) for of_one in keys]
    rows: list[dict[tuple[int, int, int], list[int]]] = [{}, {}]
    for frames, of_one, groups in zip((a, b), keys, rows):
        for row, (key, time_ns) in enumerate(zip(of_one, frames.time_ns.tolist())):
            sound = key[1] != 0 and max(count[key] for count in counts) == 1
            groups.setdefault((*key, 0 if sound else time_ns), []).append(row)
    common = sorted(key for key in rows[0].keys() & rows[1].keys()
                    if len(rows[0][key]) == len(rows[1][key]))
    index = np.array([key[0] for key in common for _ in rows[0][key]], np.int32)
    of_a, of_b = (frames.take(np.array([row for key in common for row in groups[key]], np.int64))
                  for frames, groups in zip((a, b), rows))
    return (replace(of_a, series=series, series_index=index),
            replace(of_b, series=series, series_index=index))
