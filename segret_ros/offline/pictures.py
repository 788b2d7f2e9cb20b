# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Pictures of a labelled drive: files of their own, and small ones for a page."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from segret_ros.labels.label_set import LabelSet
from segret_ros.labels.visualization import colorize, legend, LEGEND_FONT, LEGEND_TEXT, overlay

OVERLAY_ALPHA = 0.5
CAPTION_HEIGHT = 30
WIDEST_PANEL = 640
PANEL, FILM_PANEL = 320, 256  # pixels: longest side on a page
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


def side_by_side(panels: dict[str, np.ndarray], labels: LabelSet) -> np.ndarray:
    """
    Return captioned panels in a row, with the classes' legend below.

    :param panels: (H, W, 3) uint8 RGB of one size, by caption.
    :return: (height, width, 3) uint8 RGB.
    """
    row = np.hstack([captioned(panel, caption) for caption, panel in panels.items()])
    return np.vstack([row, legend(labels, row.shape[1])])


def frame_panels(image_rgb: np.ndarray, label: np.ndarray, true_label: np.ndarray | None,
                 labels: LabelSet) -> dict[str, np.ndarray]:
    """
    Return the panels of one frame: camera, overlay, labels and, where known, the true labels.

    :param image_rgb: (H, W, 3) uint8.
    :param label, true_label: (H, W) uint8.
    """
    table = labels.color_table()
    panels = {'camera': image_rgb, 'overlay': overlay(image_rgb, label, table, OVERLAY_ALPHA),
              'labels': colorize(label, table)}
    if true_label is not None:
        panels['true labels (black: none)'] = colorize(true_label, table)
    return panels


def contact_sheet(overlays: Sequence[tuple[str, np.ndarray]], labels: LabelSet,
                  columns: int) -> np.ndarray:
    """
    Return captioned overlays in a grid, with the classes' legend below.

    :param overlays: captions with (H, W, 3) uint8 RGB of one size.
    :return: (height, width, 3) uint8 RGB.
    """
    cells = [captioned(image, caption) for caption, image in overlays]
    cells += [np.full_like(cells[0], 255)] * (-len(cells) % columns)
    rows = [np.hstack(cells[start:start + columns]) for start in range(0, len(cells), columns)]
    return np.vstack([*rows, legend(labels, rows[0].shape[1])])


def captioned(image_rgb: np.ndarray, caption: str) -> np.ndarray:
    """Return an image, at most `WIDEST_PANEL` wide, under a caption, in a white frame."""
    height, width = image_rgb.shape[:2]
    if width > WIDEST_PANEL:
        size = (WIDEST_PANEL, round(height * WIDEST_PANEL / width))
        image_rgb = cv2.resize(image_rgb, size, interpolation=cv2.INTER_NEAREST)
    framed = cv2.copyMakeBorder(image_rgb, CAPTION_HEIGHT, 4, 4, 4, cv2.BORDER_CONSTANT,
                                value=(255, 255, 255))
    return cv2.putText(framed, caption, (8, CAPTION_HEIGHT - 9), LEGEND_FONT, LEGEND_TEXT,
                       (20, 20, 20), 1, cv2.LINE_AA)


def encode(image_rgb: np.ndarray, suffix: str, *options: int) -> bytes:
    """Encode an image as a file, by its suffix (.png or .jpg) and OpenCV's options."""
    image_bgr = cv2.cvtColor(image_rgb, cv2.COLOR_RGB2BGR)
    return cv2.imencode(suffix, image_bgr, options)[1].tobytes()


def film_panel(image_rgb: np.ndarray, label: np.ndarray, labels: LabelSet) -> dict[str, bytes]:
    """
    Return the camera's image under the colours of the classes, as a small file.

    :param image_rgb: (H, W, 3) uint8.
    :param label: (H, W) uint8.
    """
    image, small = _small(image_rgb, FILM_PANEL), _small(label, FILM_PANEL)
    return {'overlay': _jpeg(overlay(image, small, labels.color_table(), OVERLAY_ALPHA))}


def panels(image_rgb: np.ndarray, label: np.ndarray, true_label: np.ndarray | None,
           labels: LabelSet) -> dict[str, bytes]:
    """
    Return a frame, its labels and, where known, true labels and errors, as small files.

    :param image_rgb: (H, W, 3) uint8.
    :param label, true_label: (H, W) uint8.
    """
    image, small = _small(image_rgb, PANEL), _small(label, PANEL)
    table = labels.color_table()
    found = {'camera': _jpeg(image), 'labels': encode(colorize(small, table), '.png')}
    if true_label is not None:
        true = _small(true_label, PANEL)
        found['true labels'] = encode(colorize(true, table), '.png')
        found['wrong in red'] = _jpeg(_errors(image, small, true, len(labels)))
    return found


def _errors(image: np.ndarray, label: np.ndarray, true_label: np.ndarray,
            classes: int) -> np.ndarray:
    """Return the image in grey: wrong pixels red, those without a true label dark."""
    grey = cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    known = true_label < classes
    grey[~known] = grey[~known] // 4
    grey[known & (label != true_label)] = WRONG
    return grey


def _small(image: np.ndarray, longest: int) -> np.ndarray:
    """Shrink an image or label to a longest side; ids are never interpolated."""
    height, width = image.shape[:2]
    scale = min(1.0, longest / max(height, width))
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return cv2.resize(image, size, interpolation=(
        cv2.INTER_AREA if image.ndim == 3 else cv2.INTER_NEAREST))


def _jpeg(image_rgb: np.ndarray) -> bytes:
    return encode(image_rgb, '.jpg', cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY)
