"""Which frames of a drive a report shows, and what they look like there."""

from dataclasses import dataclass

import cv2
import numpy as np
from segret_ros.evaluation.timeline import Timeline, timeline
from segret_ros.label_set import LabelSet
from segret_ros.reporting.pictures import encode, OVERLAY_ALPHA
from segret_ros.visualization import colorize, overlay

FILMSTRIP, WORST, LEAST_CERTAIN = 'filmstrip', 'worst', 'least certain'
FILM_FRAMES = 16  # of all cameras
FRAMES = 6  # of the worst, and of the least certain
APART = 20  # that part of the drive lies between two of them at least,
LONGEST_APART_S = 5.0  # or that time where it is less
PANEL, FILM_PANEL = 320, 256  # pixels: widest panel
JPEG_QUALITY = 72
WRONG = (226, 40, 48)


@dataclass(frozen=True)
class Thumb:
    """
    A frame on a page.

    :param panels: JPEG or PNG files by what they show.
    """

    caption: str
    panels: dict[str, bytes]


def frames_to_show(columns: dict[str, np.ndarray]) -> dict[str, list[int]]:
    """
    Give the frames that are worth a look, as rows of `frames.csv`.

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
    """Give as many frames of each camera, camera by camera."""
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


def thumbnail(name: str, columns: dict[str, np.ndarray], row: int, image_rgb: np.ndarray,
              label: np.ndarray, true_label: np.ndarray | None, labels: LabelSet) -> Thumb:
    """
    Give a frame as a report shows it.

    :param name: what it is shown as, of `frames_to_show`: in the `FILMSTRIP` with the classes'
        colours over it, else beside its labels and, where known, the true labels.
    :param columns: those of `frames_to_show`, and `problem`.
    :param row: in these.
    :param image_rgb: (H, W, 3) uint8.
    :param label, true_label: (H, W) uint8.
    """
    if name == FILMSTRIP:
        return Thumb(' · '.join(_origin(columns, row)), film_panel(image_rgb, label, labels))
    return Thumb(' · '.join([*_origin(columns, row), *_values(columns, row)]),
                 panels(image_rgb, label, true_label, labels))


def _origin(columns: dict[str, np.ndarray], row: int) -> list[str]:
    """Give when a frame was recorded in its bag, where from if there are several, its problem."""
    bag = columns['bag'] == columns['bag'][row]
    seconds = (columns['time_ns'][row] - columns['time_ns'][bag].min()) / 1e9
    several = [columns[name][row] for name in ('bag', 'camera')
               if (columns[name] != columns[name][0]).any()]
    problem = columns['problem'][row]
    return [f'{seconds:.1f} s', *several, *([problem] if problem else [])]


def _values(columns: dict[str, np.ndarray], row: int) -> list[str]:
    names = {'miou': 'mIoU', 'stability': 'stability', 'confidence': 'confidence'}
    return [f'{text} {100 * columns[name][row]:.1f} %' for name, text in names.items()
            if not np.isnan(columns[name][row])]


def film_panel(image_rgb: np.ndarray, label: np.ndarray, labels: LabelSet) -> dict[str, bytes]:
    """
    Give the camera's image with the classes' colours over it, as a file.

    :param image_rgb: (H, W, 3) uint8.
    :param label: (H, W) uint8.
    """
    image, small = _small(image_rgb, FILM_PANEL), _small_label(label, FILM_PANEL)
    return {'overlay': _jpeg(overlay(image, small, labels.color_table(), OVERLAY_ALPHA))}


def panels(image_rgb: np.ndarray, label: np.ndarray, true_label: np.ndarray | None,
           labels: LabelSet) -> dict[str, bytes]:
    """
    Give a frame, its labels and, where known, the true labels and what differs, as files.

    :param image_rgb: (H, W, 3) uint8.
    :param label, true_label: (H, W) uint8.
    """
    image, small = _small(image_rgb, PANEL), _small_label(label, PANEL)
    table = labels.color_table()
    found = {'camera': _jpeg(image), 'labels': encode(colorize(small, table), '.png')}
    if true_label is not None:
        true = _small_label(true_label, PANEL)
        found['true labels'] = encode(colorize(true, table), '.png')
        found['wrong in red'] = _jpeg(_errors(image, small, true, len(labels)))
    return found


def _errors(image: np.ndarray, label: np.ndarray, true_label: np.ndarray,
            classes: int) -> np.ndarray:
    """Give the image in grey; wrong pixels are red, those without a true label dark."""
    grey = cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    known = true_label < classes
    grey[~known] //= 4
    grey[known & (label != true_label)] = WRONG
    return grey


def _small(image: np.ndarray, widest: int) -> np.ndarray:
    return cv2.resize(image, _size(image, widest), interpolation=cv2.INTER_AREA)


def _small_label(label: np.ndarray, widest: int) -> np.ndarray:
    return cv2.resize(label, _size(label, widest), interpolation=cv2.INTER_NEAREST)


def _size(image: np.ndarray, widest: int) -> tuple[int, int]:
    """Give width and height: at most `widest` in both."""
    height, width = image.shape[:2]
    scale = min(1.0, widest / max(height, width))
    return max(1, round(width * scale)), max(1, round(height * scale))


def _jpeg(image_rgb: np.ndarray) -> bytes:
    content = cv2.imencode('.jpg', cv2.cvtColor(image_rgb, cv2.COLOR_RGB2BGR),
                           [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])[1]
    return content.tobytes()
