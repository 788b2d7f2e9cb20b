# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Random crops of a labelled image: SegRet's recipe (arXiv 2502.14014), and more on demand."""

import math

import cv2
import numpy as np
from segret_train.datasets import IGNORE
from segret_train.recipe import Recipe

LONG_SIDE = 2048  # at most, whatever the short side: the authors' (2048, 512) and (2048, 640)
LARGEST_CLASS_SHARE = 0.75
CROP_ATTEMPTS = 10
BRIGHTNESS = 32
CONTRAST_RANGE = SATURATION_RANGE = (0.5, 1.5)
HUE_DEGREES = 18
DUSK_EXPONENTS, DUSK_GAINS = (1.2, 2.2), (0.35, 0.9)
Size = tuple[int, int]  # (height, width)


def scaled_size(size: Size, short_side: int | None, ratio: float = 1.0) -> Size:
    """
    Return the (height, width) to which an image is resized, keeping its aspect ratio.

    :param size: (height, width) of the image.
    :param short_side: of the result, unless the long side would exceed `LONG_SIDE`; the image's
        own if None.
    :param ratio: scales all of it.
    """
    factor = ratio
    if short_side is not None:
        factor = min(int(short_side * ratio) / min(size), int(LONG_SIDE * ratio) / max(size))
    height, width = (math.floor(side * factor + 0.5) for side in size)
    return height, width


def augment(image: np.ndarray, label: np.ndarray, recipe: Recipe,
            random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """
    Scale, crop, flip, distort the colours, and pad to the crop, all at random.

    :param image: (H, W, 3) uint8 RGB.
    :param label: (H, W) uint8.
    :return: (height, width, 3) uint8 and (height, width) uint8 of the recipe's crop, padded with 0
        and the ignore label.
    """
    ratio = random.uniform(*recipe.scale_range)
    size = scaled_size(label.shape, recipe.short_side, ratio)
    top, left, label = _window(label, size, recipe, random)
    image = _cut(image, size, (top, left), label.shape)
    if random.random() < 0.5:
        image, label = cv2.flip(image, 1), cv2.flip(label, 1)
    image = _distort(image, random)
    return _pad(_disturb(image, recipe, random), label, recipe.crop)


def _window(label: np.ndarray, size: tuple[int, int], recipe: Recipe,
            random: np.random.Generator) -> tuple[int, int, np.ndarray]:
    """
    Choose a window of the scaled label, and return its top, its left and the label in it.

    No class exceeds its share, if such a window is found in a few attempts.

    :param size: (height, width) of the scaled label.
    """
    rows, columns = (((np.arange(scaled) + 0.5) * side / scaled).astype(np.intp)
                     for scaled, side in zip(size, label.shape))  # the source of each pixel
    slack = [max(scaled - side, 0) for scaled, side in zip(size, recipe.crop)]
    rare = random.random() < recipe.rare_class_crops
    for _ in range(CROP_ATTEMPTS):
        top, left = (int(random.integers(side + 1)) for side in slack)
        if rare:
            top, left = _around_a_drawn_class(label, size, recipe.crop, slack, random)
        window = label[rows[top:top + recipe.crop[0], None], columns[left:left + recipe.crop[1]]]
        counts = np.bincount(window.ravel(), minlength=IGNORE + 1)[:IGNORE]
        if rare or (np.count_nonzero(counts) > 1
                    and counts.max() < LARGEST_CLASS_SHARE * counts.sum()):
            break
    return top, left, window


def _around_a_drawn_class(label: np.ndarray, size: tuple[int, int], crop: tuple[int, int],
                          slack: list[int], random: np.random.Generator) -> tuple[int, int]:
    """Choose the top and left of a window around a pixel of a class drawn from those present."""
    present = np.flatnonzero(np.bincount(label.ravel(), minlength=IGNORE + 1)[:IGNORE])
    if not present.size:
        return slack[0] // 2, slack[1] // 2
    pixel = random.choice(np.flatnonzero(label == random.choice(present)))
    place = [position * scaled // side for position, scaled, side in
             zip(np.unravel_index(pixel, label.shape), size, label.shape)]
    corner = [position - int(random.integers(side)) for position, side in zip(place, crop)]
    top, left = (int(min(max(start, 0), most)) for start, most in zip(corner, slack))
    return top, left


def _cut(image: np.ndarray, size: tuple[int, int], corner: tuple[int, int],
         shape: tuple[int, int]) -> np.ndarray:
    """
    Cut a window out of an image resized bilinearly, without resizing the rest.

    :param size: (height, width) of the whole resized image.
    :param corner: (top, left) of the window.
    :param shape: (height, width) of the window.
    """
    (step_y, start_y), (step_x, start_x) = (
        (side / scaled, (start + 0.5) * side / scaled - 0.5)  # pixel centres, as in cv2.resize
        for side, scaled, start in zip(image.shape, size, corner))
    return cv2.warpAffine(image, np.array([[step_x, 0, start_x], [0, step_y, start_y]]),
                          shape[::-1], flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
                          borderMode=cv2.BORDER_REPLICATE)


def _distort(image: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Change brightness, contrast, saturation and hue, each with probability 1/2."""
    contrast_last = random.random() < 0.5
    if random.random() < 0.5:
        image = _linear(image, 1, random.uniform(-BRIGHTNESS, BRIGHTNESS))
    if not contrast_last:
        image = _maybe_contrast(image, random)
    image = _distort_color(image, random)
    return _maybe_contrast(image, random) if contrast_last else image


def _maybe_contrast(image: np.ndarray, random: np.random.Generator) -> np.ndarray:
    return _linear(image, random.uniform(*CONTRAST_RANGE), 0) if random.random() < 0.5 else image


def _distort_color(image: np.ndarray, random: np.random.Generator) -> np.ndarray:
    saturation = random.uniform(*SATURATION_RANGE) if random.random() < 0.5 else 1
    hue = random.uniform(-HUE_DEGREES, HUE_DEGREES) if random.random() < 0.5 else 0
    if saturation == 1 and hue == 0:
        return image
    hsv = cv2.cvtColor(image, cv2.COLOR_RGB2HSV)
    levels = np.arange(256)
    hue_table = ((levels + round(hue / 2)) % 180).astype(np.uint8)  # OpenCV's hue is degrees / 2
    saturation_table = np.clip(levels * saturation, 0, 255).astype(np.uint8)
    hsv[..., 0] = hue_table[hsv[..., 0]]
    hsv[..., 1] = saturation_table[hsv[..., 1]]
    return cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB)


def _linear(image: np.ndarray, gain: float, offset: float) -> np.ndarray:
    table = np.clip(np.arange(256) * gain + offset, 0, 255).astype(np.uint8)
    return cv2.LUT(image, table)


def _disturb(image: np.ndarray, recipe: Recipe, random: np.random.Generator) -> np.ndarray:
    """Change light, white balance, sharpness and noise as much as the recipe says."""
    if recipe.gamma or recipe.white_balance or recipe.low_light:
        exponent = (1 + recipe.gamma) ** random.uniform(-1, 1)
        gains = random.uniform(1 - recipe.white_balance, 1 + recipe.white_balance, 3)
        if random.random() < recipe.low_light:
            exponent *= random.uniform(*DUSK_EXPONENTS)
            gains *= random.uniform(*DUSK_GAINS)
        levels = 255 * (np.arange(256) / 255) ** exponent
        image = cv2.LUT(image, np.clip(levels[:, None] * gains, 0, 255).astype(np.uint8)[:, None])
    if recipe.blur:
        image = cv2.GaussianBlur(image, (0, 0), max(random.uniform(0, recipe.blur), 0.05))
    if recipe.noise:
        noise = random.normal(0, random.uniform(0, recipe.noise), image.shape[:2])
        grey = cv2.merge(3 * [np.floor(noise).astype(np.int16)])
        image = cv2.add(image, grey, dtype=cv2.CV_8U)  # saturates
    return image


def _pad(image: np.ndarray, label: np.ndarray,
         crop: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    bottom, right = crop[0] - label.shape[0], crop[1] - label.shape[1]
    return (np.pad(image, ((0, bottom), (0, right), (0, 0))),
            np.pad(label, ((0, bottom), (0, right)), constant_values=IGNORE))
