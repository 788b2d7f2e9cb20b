# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""The labels that both evaluations gave a frame, as a picture."""

from collections.abc import Iterable

import cv2
import numpy as np
from segret_ros.labels.label_set import LabelSet
from segret_ros.labels.visualization import colorize
from segret_ros.offline.bags import Bag, BagError, open_bag, stamp_ns
from segret_ros.offline.evaluation.comparison import ChangedFrame, Comparison, Side
from segret_ros.offline.evaluation.errors import EvaluationError
from segret_ros.offline.evaluation.files import RESULT
from segret_ros.offline.pictures import encode

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
    labels = [_labels(side, comparison.changed) for side in sides]
    return [None if of_a is None or of_b is None else _picture(of_a, of_b, table)
            for of_a, of_b in zip(*labels)]


def _labels(side: Side, frames: Iterable[ChangedFrame]) -> list[np.ndarray | None]:
    try:
        with open_bag(side.folder / RESULT) as bag:
            return [_label(bag, side.label_topics.get((frame.bag, frame.camera)), frame)
                    for frame in frames]
    except BagError as error:
        raise EvaluationError(str(error)) from error


def _label(bag: Bag, topic: str | None, frame: ChangedFrame) -> np.ndarray | None:
    """Give a frame's label, (H, W) uint8."""
    if topic is None:
        return None
    for recorded in bag.messages([topic], frame.time_ns, frame.time_ns + 1):
        message = recorded.message()
        if stamp_ns(message.header) == frame.stamp_ns:
            return message.data.reshape(message.height, message.step)[:, :message.width]
    return None


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
