# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Small trees of labelled images, written from their paths."""

from pathlib import Path

import cv2
import numpy as np

SIZE = (32, 48)


def write_image(path: Path, size: tuple[int, int] = SIZE) -> None:
    """Write an image of noise, (height, width)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8)
    assert cv2.imwrite(str(path), noise)


def write_label(path: Path, *numbers: int) -> None:
    """Write a grey label image whose columns hold numbers in turn."""
    path.parent.mkdir(parents=True, exist_ok=True)
    columns = np.resize(np.array(numbers, np.uint8), SIZE[1])
    assert cv2.imwrite(str(path), np.tile(columns, (SIZE[0], 1)))
