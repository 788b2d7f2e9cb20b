"""Random views of a labelled image (the recipe of SegRet, arXiv 2502.14014, mmsegmentation's)."""

import cv2
import numpy as np
from segret_ros.label_set import UNKNOWN

SCALE_RANGE = (0.5, 2.0)
LARGEST_CLASS_SHARE = 0.75
CROP_TRIES = 10
BRIGHTNESS = 32
CONTRAST_RANGE = SATURATION_RANGE = (0.5, 1.5)
HUE_DEGREES = 18


def augment(image: np.ndarray, label: np.ndarray, crop: tuple[int, int],
            random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """
    Give a random view: scaled, cropped, flipped, its colours distorted, padded to the crop.

    :param image: (H, W, 3) uint8 RGB.
    :param label: (H, W) uint8.
    :param crop: (height, width) of the view.
    :return: (height, width, 3) uint8 and (height, width) uint8; padding is 0 and 255.
    """
    image, label = _scale(image, label, random.uniform(*SCALE_RANGE))
    image, label = _crop(image, label, crop, random)
    if random.random() < 0.5:
        image, label = image[:, ::-1], label[:, ::-1]
    return _pad(_distort(np.ascontiguousarray(image), random), label, crop)


def _scale(image: np.ndarray, label: np.ndarray, ratio: float) -> tuple[np.ndarray, np.ndarray]:
    size = (round(image.shape[1] * ratio), round(image.shape[0] * ratio))
    return (cv2.resize(image, size, interpolation=cv2.INTER_LINEAR),
            cv2.resize(label, size, interpolation=cv2.INTER_NEAREST))


def _crop(image: np.ndarray, label: np.ndarray, crop: tuple[int, int],
          random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Cut out a window in which no class takes more than its share, if some tries find one."""
    for _ in range(CROP_TRIES):
        top = random.integers(max(label.shape[0] - crop[0], 0) + 1)
        left = random.integers(max(label.shape[1] - crop[1], 0) + 1)
        window = np.s_[top:top + crop[0], left:left + crop[1]]
        counts = np.bincount(label[window].ravel(), minlength=UNKNOWN + 1)[:UNKNOWN]
        if np.count_nonzero(counts) > 1 and counts.max() < LARGEST_CLASS_SHARE * counts.sum():
            break
    return image[window], label[window]


def _distort(image: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Change brightness, contrast, saturation and hue, each with a chance of one half."""
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


def _pad(image: np.ndarray, label: np.ndarray,
         crop: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    bottom, right = crop[0] - label.shape[0], crop[1] - label.shape[1]
    return (np.pad(image, ((0, bottom), (0, right), (0, 0))),
            np.pad(label, ((0, bottom), (0, right)), constant_values=UNKNOWN))
