"""From logits at stride 4 to labels and confidence at the camera's size."""

import cv2
import numpy as np

STRIP_ROWS = 32  # rows of the camera worked on at a time: small enough for a processor's cache


def labels_and_confidence(logits: np.ndarray, size: tuple[int, int],
                          confidence: bool) -> tuple[np.ndarray, np.ndarray | None]:
    """
    Give the class of the largest logit of each camera pixel, and its probability.

    The logits are resized bilinearly (half-pixel centres, align_corners false); the probability is
    the softmax of the resized logits. Memory for the full size holds the results alone.

    :param logits: (classes, h, w) float32.
    :param size: (height, width) of the camera.
    :param confidence: give the probability too.
    :return: (height, width) uint8 label; (height, width) uint8, 255 for certain, or None.
    """
    height, width = size
    label = np.empty(size, np.uint8)
    probability = np.empty(size, np.uint8) if confidence else None
    for top in range(0, height, STRIP_ROWS):
        rows = slice(top, min(top + STRIP_ROWS, height))
        planes = _resized_rows(logits, rows, size)
        best = _argmax(planes, label[rows])
        if probability is not None:
            probability[rows] = _softmax_of_best(planes, best)
    return label, probability


def _resized_rows(logits: np.ndarray, rows: slice, size: tuple[int, int]) -> np.ndarray:
    """Give some rows of the logits resized to the camera: (classes, rows, width) float32."""
    source = (np.arange(rows.start, rows.stop) + 0.5) * logits.shape[1] / size[0] - 0.5
    source = source.clip(0, logits.shape[1] - 1)
    above = source.astype(np.intp)
    below = np.minimum(above + 1, logits.shape[1] - 1)
    weight = (source - above).astype(np.float32)[:, None]
    between = logits[:, above] * (1 - weight) + logits[:, below] * weight  # (classes, rows, w)
    planes = np.empty((*between.shape[:2], size[1]), np.float32)
    for plane, narrow in zip(planes, between):
        cv2.resize(narrow, (size[1], len(narrow)), dst=plane, interpolation=cv2.INTER_LINEAR)
    return planes


def _argmax(planes: np.ndarray, label: np.ndarray) -> np.ndarray:
    """Write the class of the largest plane, the first of equals; give the largest's value."""
    label[...] = 0
    best = planes[0].copy()
    for index, plane in enumerate(planes[1:], start=1):
        np.copyto(label, index, where=plane > best)
        np.maximum(best, plane, out=best)
    return best


def _softmax_of_best(planes: np.ndarray, best: np.ndarray) -> np.ndarray:
    """Give the probability of the largest plane as uint8: 255 / sum(exp(plane - best))."""
    planes -= best
    total = cv2.exp(planes.reshape(len(planes), -1)).sum(axis=0).reshape(best.shape)
    return np.rint(255 / total).astype(np.uint8)
