# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Labels drawn in colours."""

import cv2
import numpy as np
from segret_ros.labels.label_set import LabelSet, UNKNOWN

LEGEND_ROW = 32  # pixels
LEGEND_TEXT = 0.65  # scale of OpenCV's font
LEGEND_FONT = cv2.FONT_HERSHEY_SIMPLEX


def colorize(label: np.ndarray, color_table: np.ndarray) -> np.ndarray:
    """
    Colour each pixel by its class.

    :param label: (H, W) uint8.
    :param color_table: (256, 3) uint8 RGB, of `LabelSet.color_table`.
    :return: (H, W, 3) uint8 RGB.
    """
    return cv2.applyColorMap(label, color_table[:, None])


def overlay(image_rgb: np.ndarray, label: np.ndarray, color_table: np.ndarray,
            alpha: float) -> np.ndarray:
    """
    Blend the colours of the classes into an image; unknown pixels stay unchanged.

    :param image_rgb: (H, W, 3) uint8.
    :param label, color_table: as of `colorize`.
    :param alpha: opacity of the colours, 0..1.
    :return: (H, W, 3) uint8 RGB.
    """
    blended = cv2.addWeighted(image_rgb, 1 - alpha, colorize(label, color_table), alpha, 0)
    unknown = (label == UNKNOWN).view(np.uint8)
    if unknown.any():
        cv2.copyTo(image_rgb, unknown, blended)
    return blended


def legend(labels: LabelSet, width: int) -> np.ndarray:
    """
    Draw a strip of colour patches with their class names, in as many rows as needed.

    :param width: of the strip in pixels.
    :return: (rows, width, 3) uint8 RGB.
    """
    cell = 52 + max(cv2.getTextSize(name, LEGEND_FONT, LEGEND_TEXT, 1)[0][0]
                    for name in labels.names)
    columns = max(1, width // cell)
    rows = -(-len(labels) // columns)
    strip = np.full((rows * LEGEND_ROW + 10, width, 3), 255, np.uint8)
    for index, (name, color) in enumerate(zip(labels.names, labels.colors)):
        left, top = 8 + index % columns * cell, 5 + index // columns * LEGEND_ROW
        cv2.rectangle(strip, (left, top + 4), (left + 24, top + 26), color, cv2.FILLED)
        cv2.rectangle(strip, (left, top + 4), (left + 24, top + 26), (90, 90, 90), 1)
        cv2.putText(strip, name, (left + 32, top + 22), LEGEND_FONT, LEGEND_TEXT, (20, 20, 20), 1,
                    cv2.LINE_AA)
    return strip
