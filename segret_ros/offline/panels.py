# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Frames as a page shows them."""

from dataclasses import dataclass

import cv2
import numpy as np
from segret_ros.labels.label_set import LabelSet
from segret_ros.labels.visualization import colorize, overlay
from segret_ros.offline.pictures import encode, OVERLAY_ALPHA

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
    """Return the image in grey; wrong pixels are red, those without a true label dark."""
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
    """Return width and height: at most `widest` in both."""
    height, width = image.shape[:2]
    scale = min(1.0, widest / max(height, width))
    return max(1, round(width * scale)), max(1, round(height * scale))


def _jpeg(image_rgb: np.ndarray) -> bytes:
    content = cv2.imencode('.jpg', cv2.cvtColor(image_rgb, cv2.COLOR_RGB2BGR),
                           [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])[1]
    return content.tobytes()
