"""The labels that both evaluations gave a frame, as a picture."""

from collections.abc import Iterable

import cv2
import numpy as np
from segret_ros.bags import read_bag, stamp_ns
from segret_ros.evaluation.comparison.result import ChangedFrame, Comparison, Side
from segret_ros.evaluation.errors import EvaluationError
from segret_ros.label_set import LabelSet
from segret_ros.reporting.pictures import encode
from segret_ros.visualization import colorize

RESULT = 'result.mcap'
WIDEST = 480  # pixels of one of the two
GAP = 8


def pictures(comparison: Comparison) -> list[bytes | None]:
    """
    Give a PNG file of each changed frame: labels of A and of B side by side.

    :return: None for frames without, and for all where one folder has no `result.mcap`.
    :raises EvaluationError: for a `result.mcap` that can't be read.
    """
    sides = (comparison.a, comparison.b)
    if not all((side.folder / RESULT).exists() for side in sides):
        return [None] * len(comparison.changed)
    table = LabelSet(comparison.classes, comparison.colors).color_table()
    of_a, of_b = (_labels(side, comparison.changed) for side in sides)
    return [_picture(of_a[frame], of_b[frame], table) if frame in of_a and frame in of_b else None
            for frame in comparison.changed]


def _labels(side: Side, frames: Iterable[ChangedFrame]) -> dict[ChangedFrame, np.ndarray]:
    """Give what a folder's `result.mcap` holds of some frames: labels, (H, W) uint8."""
    wanted = {(side.label_topics.get((frame.bag, frame.camera)), frame.stamp_ns): frame
              for frame in frames}
    found = {}
    try:
        for recorded in read_bag(side.folder / RESULT, sorted({topic for topic, _ in wanted
                                                               if topic is not None})):
            message = recorded.message()
            frame = wanted.get((recorded.topic, stamp_ns(message.header)))
            if frame is not None:
                rows = message.data.reshape(message.height, message.step)
                found.setdefault(frame, rows[:, :message.width])
    except ValueError as error:
        raise EvaluationError(f'{side.folder / RESULT}: {error}') from error
    return found


def _picture(label_a: np.ndarray, label_b: np.ndarray, color_table: np.ndarray) -> bytes:
    panels = [_shrunk(colorize(label, color_table)) for label in (label_a, label_b)]
    gap = np.full((panels[0].shape[0], GAP, 3), 255, np.uint8)
    return encode(np.hstack([panels[0], gap, panels[1]]), '.png')


def _shrunk(image_rgb: np.ndarray) -> np.ndarray:
    height, width = image_rgb.shape[:2]
    if width <= WIDEST:
        return image_rgb
    return cv2.resize(image_rgb, (WIDEST, round(height * WIDEST / width)),
                      interpolation=cv2.INTER_NEAREST)
