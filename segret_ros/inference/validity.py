# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Check camera images before they are segmented: frozen, black, overexposed or blurred."""

from dataclasses import dataclass

import cv2
import numpy as np

FAULTS = ('black', 'overexposed', 'frozen', 'blurred')
SHORT_SIDE = 90  # pixels of the small grey picture that is judged
SATURATED = 250  # of 255: all three channels are at their end
ROW_STEP = 4  # of the rows that are compared for a frozen camera


@dataclass(frozen=True)
class Limits:
    """
    Limits beyond which an image is unusable; the defaults are measured in docs/planning.md.

    :param frozen_frames: a camera is frozen after this many further frames of the same content;
        0: not checked.
    :param black_level: brightness, 0..1, that 99 % of a black picture stay below; 0: not checked.
    :param overexposed_share: share of saturated pixels, 0..1, above which a picture is
        overexposed; 1: not checked.
    :param blur_level: sharpness, 0..1, below which a picture is blurred beyond use: the second
        derivative at its sharpest edges (99th percentile) over the standard deviation of
        brightness, at a short side of `SHORT_SIDE` pixels; 0: not checked.
    """

    frozen_frames: int = 5
    black_level: float = 0.05
    overexposed_share: float = 0.7
    blur_level: float = 0.5


@dataclass(frozen=True)
class Fault:
    """
    What is wrong with an image.

    :param kind: one of `FAULTS`.
    :param text: the measured value, the limit and what to do, in one sentence.
    """

    kind: str
    text: str


class CameraCheck:
    """
    The check of one camera; it holds what its last picture showed. One thread calls at a time.

    Pictures are the same when every pixel of each `ROW_STEP`-th row is. Noise changes every pixel
    of a real sensor, and one changed block of a JPEG picture reaches such a row.

    `rows` and `repeats` are all that it remembers: a copy with the same ones goes on alike.
    """

    def __init__(self) -> None:
        self.rows: np.ndarray | None = None  # (H / ROW_STEP, W, 3) uint8 of the last picture
        self.repeats = 0

    def __call__(self, image_rgb: np.ndarray, limits: Limits) -> Fault | None:
        """
        Return what is wrong with the camera's next picture, or None.

        Of several faults, returns the first of black, overexposed, frozen, blurred: a covered or
        dazzled sensor may well repeat itself, and a camera that stands still need not be blurred.

        :param image_rgb: (H, W, 3) uint8, RGB, 0..255; H and W from 1, rows padded or not. Nothing
            of it is kept.
        """
        self._compare(image_rgb[::ROW_STEP])
        grey = _small_grey(image_rgb)
        return (_black(grey, limits.black_level)
                or _overexposed(grey, limits.overexposed_share)
                or self._frozen(limits.frozen_frames)
                or _blurred(grey, limits.blur_level))

    def _compare(self, rows: np.ndarray) -> None:
        if self.rows is not None and np.array_equal(rows, self.rows):
            self.repeats += 1
        else:
            self.rows, self.repeats = rows.copy(), 0

    def _frozen(self, frames: int) -> Fault | None:
        if not frames or self.repeats < frames:
            return None
        return Fault('frozen', f'the last {self.repeats + 1} frames are the same, frozen_frames '
                               f'is {frames}: restart the camera or its driver; for a simulated '
                               'camera without noise set frozen_frames to 0')


def _small_grey(image_rgb: np.ndarray) -> np.ndarray:
    """
    Return the brightness at a short side of `SHORT_SIDE` pixels: (h, w) float32, 0..255.

    It is a mean over pixels, so that little of a sensor's noise is left. Smaller images stay.
    """
    while min(image_rgb.shape[:2]) >= 4 * SHORT_SIDE:
        height, width = (size // 2 for size in image_rgb.shape[:2])
        image_rgb = cv2.resize(image_rgb[:2 * height, :2 * width], (width, height),
                               interpolation=cv2.INTER_AREA)  # exact halves: ten times as fast
    grey: np.ndarray = cv2.cvtColor(image_rgb, cv2.COLOR_RGB2GRAY).astype(np.float32)
    height, width = grey.shape
    shrink = SHORT_SIDE / min(height, width)
    if shrink < 1:
        grey = cv2.resize(grey, (round(width * shrink), round(height * shrink)),
                          interpolation=cv2.INTER_AREA)
    return grey


def _black(grey: np.ndarray, level: float) -> Fault | None:
    brightness = float(np.percentile(grey, 99)) / 255
    if brightness >= level:
        return None
    return Fault('black', f'99 % of the picture are no brighter than {brightness:.3f}, '
                          f'black_level is {level:g}: uncover the lens, check light and exposure, '
                          'or lower black_level')


def _overexposed(grey: np.ndarray, limit: float) -> Fault | None:
    share = np.count_nonzero(grey >= SATURATED) / grey.size
    if share <= limit:
        return None
    return Fault('overexposed', f'{share:.2f} of the picture is saturated, overexposed_share is '
                                f'{limit:g}: check exposure and gain, turn the camera from the '
                                'light, or raise overexposed_share')


def _blurred(grey: np.ndarray, level: float) -> Fault | None:
    if min(grey.shape) < SHORT_SIDE:  # too few pixels to tell
        return None
    edges = np.abs(cv2.Laplacian(grey, cv2.CV_32F)[1:-1, 1:-1])
    contrast = float(grey.std())
    sharpness = float(np.percentile(edges, 99)) / contrast if contrast else 0
    if sharpness >= level:
        return None
    return Fault('blurred', f'the sharpness of the picture is {sharpness:.2f}, blur_level is '
                            f'{level:g}: clean, dry and focus the lens, or lower blur_level')
