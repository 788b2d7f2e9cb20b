# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Which frames are worth labelling next, and the folder in which a label tool takes them."""

from collections.abc import Iterable, Iterator, Mapping
import colorsys
from itertools import count as count_from
import json
from pathlib import Path
import re

import cv2
import numpy as np
from segret_ros.labels.label_set import LabelSet
from segret_ros.labels.visualization import colorize
from segret_ros.offline.evaluation.output import PLACE
from segret_ros.offline.evaluation.result import Labelled
import yaml

USELESS = ('rejected', 'black', 'frozen', 'overexposed', 'blurred')  # kinds of problems
CHANGE_WORTH = 0.1  # a sudden change counts as a tenth of the picture in doubt
LEAST_GAP_NS = 1_000_000_000  # between frames of a camera; nearer ones show the same again
CROWDING = 4  # how much denser than an even spread the frames are taken at first
PARTS = IMAGES, CLASSES, OBJECTS = 'JPEGImages', 'SegmentationClass', 'SegmentationObject'
LIST = Path('ImageSets', 'Segmentation', 'default.txt')
VOID_COLOR = (0, 0, 0)  # of pixels without a class, in CVAT's format
VAL_PERIOD = 5  # one of so many frames is for validation
NAME_LENGTH = 200  # characters; file systems take 255 bytes
HUE_STEP = 0.618  # of the circle of hues: colours that are made up lie far apart
HELP = """\
# To correct these labels in CVAT: make a project of the labels in labels.json (tab Raw), import
# what is in this folder, zipped, as a dataset of the format "Segmentation mask 1.1", and export it
# likewise. Unpack that over this folder; then segret_train reads it:
# segret_train --dataset select/classes.yaml --data select
"""


def select(columns: Mapping[str, np.ndarray], count: int) -> list[int]:
    """
    Choose the frames that are most worth labelling next, the best first.

    The best are taken, and those near them in time left out: at first far apart over the drives,
    then closer, but never within a second of one camera. Frames whose problem makes them useless
    are left out.

    :param columns: of `frames.csv` by name, (frames,) each; NaN where there is no value.
    :param count: frames to give; they are fewer where the drives are too short.
    :return: numbers of lines, from 0.
    """
    camera, time_ns = _cameras(columns), columns['time_ns']
    worth = _worth(columns, camera)
    gap_ns = _even_gap_ns(camera, time_ns, count) / CROWDING
    taken: list[int] = []
    while True:
        gap_ns = max(gap_ns, LEAST_GAP_NS)
        left = worth.copy()
        for row in taken:
            left[_is_near(row, camera, time_ns, gap_ns)] = -np.inf
        while len(taken) < count and left.max(initial=-np.inf) > -np.inf:
            taken.append(int(left.argmax()))
            left[_is_near(taken[-1], camera, time_ns, gap_ns)] = -np.inf
        if len(taken) >= count or gap_ns <= LEAST_GAP_NS:
            return sorted(taken, key=lambda row: (-worth[row], row))
        gap_ns /= 2


def _cameras(columns: Mapping[str, np.ndarray]) -> np.ndarray:
    """Return the number of the camera of each frame, (frames,); each bag has its own."""
    found: dict[tuple[str, str], int] = {}
    pairs = zip(columns['bag'], columns['camera'])
    return np.array([found.setdefault(pair, len(found)) for pair in pairs], np.int64)


def _worth(columns: Mapping[str, np.ndarray], camera: np.ndarray) -> np.ndarray:
    """
    Rate each frame, (frames,) float64; minus infinity for useless ones.

    It is the share of the picture that is in doubt: the errors to expect by the confidence, the
    pixels that are unknown, those that changed their class, and those that change back in the next
    frame, so that of a fault of one frame this one is worth most.
    """
    value = {name: np.nan_to_num(columns[name].astype(np.float64), nan=default) for name, default
             in (('confidence', 1), ('unknown', 0), ('stability', 1), ('flicker', 0),
                 ('change', 0))}
    flickers_next = np.zeros(len(camera))
    order = np.argsort(camera, kind='stable')
    same = camera[order[:-1]] == camera[order[1:]]
    flickers_next[order[:-1][same]] = value['flicker'][order[1:][same]]
    worth = (1 - value['confidence'] + value['unknown'] + 1 - value['stability'] + flickers_next
             + CHANGE_WORTH * value['change'])
    worth[np.isin(columns['problem'].astype(str), USELESS)] = -np.inf
    return worth


def _even_gap_ns(camera: np.ndarray, time_ns: np.ndarray, count: int) -> float:
    """Return the gap in time between so many frames, spread evenly over all cameras."""
    times = [time_ns[camera == number] for number in range(camera.max(initial=-1) + 1)]
    return sum(float(np.ptp(of_camera)) for of_camera in times) / max(count, 1)


def _is_near(row: int, camera: np.ndarray, time_ns: np.ndarray, gap_ns: float) -> np.ndarray:
    return (camera == camera[row]) & (np.abs(time_ns - time_ns[row]) < gap_ns)


def named(frames: Iterable[Labelled],
          columns: Mapping[str, np.ndarray]) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """Yield frames as `write_selection` takes them, named by stamps where these are sound."""
    for frame in frames:
        bag, camera, stamp_ns, time_ns = (columns[name][frame.row] for name in PLACE)
        alike = (columns['stamp_ns'] == stamp_ns) & (columns['camera'] == camera)
        is_sound = stamp_ns and np.count_nonzero(alike & (columns['bag'] == bag)) == 1
        yield (f'{bag}_{camera}_{stamp_ns if is_sound else time_ns}', frame.image_rgb,
               frame.label)


def write_selection(folder: Path, frames: Iterable[tuple[str, np.ndarray, np.ndarray]],
                    labels: LabelSet) -> None:
    """
    Write frames and their labels as a folder for CVAT, which segret_train reads too.

    It is laid out as CVAT's "Segmentation mask 1.1", with lossless PNG images. Classes have the
    colours of the label set; where that repeats one, or uses black, one is made up: black is
    unknown. Names end in `_train`, or `_val` for one in `VAL_PERIOD` frames: the splits of the
    data set that `classes.yaml` describes.

    :param folder: must not exist.
    :param frames: name, image (H, W, 3) uint8 RGB, and label (H, W) uint8 of each. Letters, digits
        and dashes of a name are kept, and equal names are numbered.
    """
    for part in (*PARTS, LIST.parent):
        (folder / part).mkdir(parents=True)
    colored = _in_own_colors(labels)
    names = _write_frames(folder, frames, colored)
    (folder / LIST).write_text(''.join(f'{name}\n' for name in names), encoding='utf-8')
    _write_tool_classes(folder, colored)
    _write_data_set(folder, colored)


def _write_frames(folder: Path, frames: Iterable[tuple[str, np.ndarray, np.ndarray]],
                  labels: LabelSet) -> list[str]:
    """Write images, classes as colours and, so that unknown is no object, as numbers from 1."""
    object_table = np.zeros(256, np.uint8)
    object_table[:len(labels)] = np.arange(1, len(labels) + 1)
    names: list[str] = []
    for number, (name, image_rgb, label) in enumerate(frames):
        split = 'val' if number % VAL_PERIOD == 1 else 'train'  # one of two has one of each
        file = f'{_unique(_safe(name), names)}_{split}'
        names.append(file)
        colors = colorize(label, labels.color_table())
        for part, pixels in zip(PARTS, (cv2.cvtColor(image_rgb, cv2.COLOR_RGB2BGR),
                                        cv2.cvtColor(colors, cv2.COLOR_RGB2BGR),
                                        cv2.LUT(label, object_table))):
            (folder / part / f'{file}.png').write_bytes(cv2.imencode('.png', pixels)[1].tobytes())
    return names


def _write_tool_classes(folder: Path, labels: LabelSet) -> None:
    """Write the classes as CVAT's import and its projects take them."""
    void = 'background'
    while void in labels.names:
        void += '_'
    names = [re.sub(r'^#|[:\r\n]', '_', name) for name in labels.names]
    lines = [f'{name}:{",".join(map(str, color))}::\n'
             for name, color in zip([void, *names], [VOID_COLOR, *labels.colors])]
    (folder / 'labelmap.txt').write_text(''.join(['# label:color_rgb:parts:actions\n', *lines]),
                                         encoding='utf-8')
    project = [{'name': name, 'color': '#' + bytes(color).hex(), 'attributes': []}
               for name, color in zip(names, labels.colors)]
    (folder / 'labels.json').write_text(json.dumps(project, indent=1) + '\n', encoding='utf-8')


def _write_data_set(folder: Path, labels: LabelSet) -> None:
    """Write what segret_train needs to know."""
    described = {
        'name': folder.name,
        'classes': [{'name': name, 'color': list(color)}
                    for name, color in zip(labels.names, labels.colors)],
        'color_coded': True, 'ignored': [list(VOID_COLOR)],
        'images': f'{IMAGES}/{{name}}_{{split}}.png',
        'labels': f'{CLASSES}/{{name}}_{{split}}.png'}
    text = yaml.safe_dump(described, sort_keys=False, allow_unicode=True, default_flow_style=None)
    (folder / 'classes.yaml').write_text(HELP + text, encoding='utf-8')


def _in_own_colors(labels: LabelSet) -> LabelSet:
    """Return the classes with a colour of their own each, none of them black."""
    made_up = map(_color, count_from())
    seen = {VOID_COLOR}
    colors = []
    for color in labels.colors:
        if color in seen:
            color = next(other for other in made_up if other not in seen | set(labels.colors))
        seen.add(color)
        colors.append(color)
    return LabelSet(labels.names, tuple(colors))


def _color(number: int) -> tuple[int, int, int]:
    red, green, blue = colorsys.hsv_to_rgb(number * HUE_STEP % 1, 0.7, 0.9)
    return round(255 * red), round(255 * green), round(255 * blue)


def _safe(name: str) -> str:
    return re.sub(r'[^A-Za-z0-9-]+', '_', name).strip('_-')[-NAME_LENGTH:]


def _unique(name: str, taken: list[str]) -> str:
    """Return a name that is unique on any file system, also where case does not matter."""
    others = {other.lower().rsplit('_', 1)[0] for other in taken}
    if name.lower() not in others:
        return name
    return next(other for number in count_from(2)
                if (other := f'{name}_{number}').lower() not in others)
