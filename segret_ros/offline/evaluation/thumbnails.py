# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Which frames of a drive a report shows, and what they look like there."""

from collections.abc import Iterable, Mapping

import numpy as np
from segret_ros.labels.label_set import LabelSet
from segret_ros.offline.evaluation.output import Columns, Timeline, timeline
from segret_ros.offline.evaluation.result import Labelled
from segret_ros.offline.pictures import film_panel, panels, Thumb

FILMSTRIP, WORST, LEAST_CERTAIN = 'filmstrip', 'worst', 'least certain'
FILM_FRAMES = 16  # of all cameras
FRAMES = 6  # of the worst, and of the least certain
APART = 20  # that part of the drive lies between two of them at least,
LONGEST_APART_S = 5.0  # or that time where it is less


def frames_to_show(columns: Columns) -> dict[str, list[int]]:
    """
    Choose the frames that are worth a look, as rows of `frames.csv`.

    :param columns: of `frames.csv`; `bag`, `camera`, `time_ns`, `confidence`, `stability` and
        `miou`.
    :return: `FILMSTRIP`, evenly spaced in order of time; `WORST` by mIoU, or by stability where
        no frame has true labels; `LEAST_CERTAIN`. Rejected frames are in none, and the worst ones
        of a camera lie some time apart, since neighbours look the same.
    """
    times = timeline(columns)
    usable = np.flatnonzero(~np.isnan(columns['confidence']))
    score = columns['miou']
    if np.isnan(score).all():
        score = columns['stability']
    return {FILMSTRIP: _evenly_spaced(columns['camera'], usable),
            WORST: _smallest(score, columns['camera'], times),
            LEAST_CERTAIN: _smallest(columns['confidence'], columns['camera'], times)}


def _evenly_spaced(cameras: np.ndarray, usable: np.ndarray) -> list[int]:
    """Choose equally many frames of each camera, camera by camera."""
    names = sorted(set(cameras[usable]))
    rows = []
    for name in names:
        frames = usable[cameras[usable] == name]
        count = min(max(FILM_FRAMES // len(names), 1), len(frames))
        rows += [int(row) for row in frames[np.linspace(0, len(frames) - 1, count).astype(int)]]
    return rows


def _smallest(score: np.ndarray, cameras: np.ndarray, times: Timeline) -> list[int]:
    apart_s = min(times.duration_s / APART, LONGEST_APART_S)
    chosen: list[int] = []
    for row in np.argsort(score, kind='stable'):  # NaN is last
        if np.isnan(score[row]) or len(chosen) == FRAMES:
            break
        if all(cameras[row] != cameras[other]
               or abs(times.driven_s[row] - times.driven_s[other]) >= apart_s
               for other in chosen):
            chosen.append(int(row))
    return chosen


def thumbs(shown: Mapping[str, list[int]], frames: Iterable[Labelled], columns: Columns,
           labels: LabelSet) -> dict[str, list[Thumb]]:
    """
    Return the pictures of a report, by the names of `frames_to_show`.

    :param frames: of these rows; one that is missing is left out.
    """
    made = {(name, frame.row): thumbnail(name, columns, frame, labels)
            for frame in frames for name, group in shown.items() if frame.row in group}
    return {name: [made[name, row] for row in group if (name, row) in made]
            for name, group in shown.items()}


def thumbnail(name: str, columns: Columns, frame: Labelled, labels: LabelSet) -> Thumb:
    """
    Draw a frame as a report shows it.

    :param name: what it is shown as, of `frames_to_show`: in the `FILMSTRIP` with the classes'
        colours over it, else beside its labels and, where known, the true labels.
    """
    captions = _origin(columns, frame.row)
    if name == FILMSTRIP:
        return Thumb(' · '.join(captions), film_panel(frame.image_rgb, frame.label, labels))
    return Thumb(' · '.join(captions + _values(columns, frame.row)),
                 panels(frame.image_rgb, frame.label, frame.true_label, labels))


def _origin(columns: Columns, row: int) -> list[str]:
    """Return when a frame was recorded, of which bag and camera if several, and its problem."""
    bag = columns['bag'] == columns['bag'][row]
    seconds = (columns['time_ns'][row] - columns['time_ns'][bag].min()) / 1e9
    several = [columns[name][row] for name in ('bag', 'camera')
               if (columns[name] != columns[name][0]).any()]
    problem = columns['problem'][row]
    return [f'{seconds:.1f} s', *several, *([problem] if problem else [])]


def _values(columns: Columns, row: int) -> list[str]:
    names = {'miou': 'mIoU', 'stability': 'stability', 'confidence': 'confidence'}
    return [f'{text} {100 * columns[name][row]:.1f} %' for name, text in names.items()
            if not np.isnan(columns[name][row])]
