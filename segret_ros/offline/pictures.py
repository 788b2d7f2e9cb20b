# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Pictures of a labelled drive."""

from collections.abc import Sequence

import cv2
import numpy as np
from segret_ros.labels.label_set import LabelSet
from segret_ros.labels.visualization import colorize, legend, LEGEND_FONT, LEGEND_TEXT, overlay

OVERLAY_ALPHA = 0.5
CAPTION_HEIGHT = 30
WIDEST_PANEL = 640


def side_by_side(panels: dict[str, np.ndarray], labels: LabelSet) -> np.ndarray:
    """
    Give captioned panels in a row, with the classes' legend below.

    :param panels: (H, W, 3) uint8 RGB of one size, by caption.
    :return: (height, width, 3) uint8 RGB.
    """
    row = np.hstack([captioned(panel, caption) for caption, panel in panels.items()])
    return np.vstack([row, legend(labels, row.shape[1])])


def frame_panels(image_rgb: np.ndarray, label: np.ndarray, true_label: np.ndarray | None,
                 labels: LabelSet) -> dict[str, np.ndarray]:
    """
    Give the panels of one frame: camera, overlay, labels and, where known, the true labels.

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
    Give captioned overlays in a grid, with the classes' legend below.

    :param overlays: captions with (H, W, 3) uint8 RGB of one size.
    :return: (height, width, 3) uint8 RGB.
    """
    cells = [captioned(image, caption) for caption, image in overlays]
    cells += [np.full_like(cells[0], 255)] * (-len(cells) % columns)
    rows = [np.hstack(cells[start:start + columns]) for start in range(0, len(cells), columns)]
    return np.vstack([*rows, legend(labels, rows[0].shape[1])])


def captioned(image_rgb: np.ndarray, caption: str) -> np.ndarray:
    """Give an image, at most `WIDEST_PANEL` wide, under a caption, with a white frame."""
    height, width = image_rgb.shape[:2]
    if width > WIDEST_PANEL:
        size = (WIDEST_PANEL, round(height * WIDEST_PANEL / width))
        image_rgb = cv2.resize(image_rgb, size, interpolation=cv2.INTER_NEAREST)
    framed = cv2.copyMakeBorder(image_rgb, CAPTION_HEIGHT, 4, 4, 4, cv2.BORDER_CONSTANT,
                                value=(255, 255, 255))
    return cv2.putText(framed, caption, (8, CAPTION_HEIGHT - 9), LEGEND_FONT, LEGEND_TEXT,
                       (20, 20, 20), 1, cv2.LINE_AA)


def encode(image_rgb: np.ndarray, suffix: str) -> bytes:
    """Give an image as a file's content; `suffix` is .png or .jpg."""
    return cv2.imencode(suffix, cv2.cvtColor(image_rgb, cv2.COLOR_RGB2BGR))[1].tobytes()
