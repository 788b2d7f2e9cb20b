# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Images with the labels that the float32 network gives them, as they travel with a model file."""

import base64
from collections.abc import Sequence
import json
from typing import NamedTuple

import cv2
import numpy as np
from segret_ros.errors import reason

JPEG_QUALITY = 95


class ParityFrame(NamedTuple):
    """
    An image that an engine is tried on.

    :param image_rgb: (H, W, 3) uint8 RGB, of the network's input size.
    :param label: (H, W) uint8, the classes that the float32 network sees.
    """

    image_rgb: np.ndarray
    label: np.ndarray


def compressed(image_rgb: np.ndarray) -> bytes:
    """Compress an image, (H, W, 3) uint8 RGB, as a JPEG file."""
    return cv2.imencode('.jpg', cv2.cvtColor(image_rgb, cv2.COLOR_RGB2BGR),
                        [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])[1].tobytes()


def decompressed(jpeg: bytes) -> np.ndarray:
    """
    Decompress a JPEG file to an (H, W, 3) uint8 RGB image.

    :raises ValueError: for anything else.
    """
    image = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
    if image is None:
        raise ValueError('an image is not a JPEG file')
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)


def encode(frames: Sequence[tuple[bytes, np.ndarray]]) -> str:
    """
    Encode frames for a model file: a JSON list of objects, `image` and `label` in base64.

    :param frames: JPEG files with the labels, (H, W) uint8, of what `decompressed` makes of them.
    """
    return json.dumps([{'image': _text(jpeg),
                        'label': _text(cv2.imencode('.png', label)[1].tobytes())}
                       for jpeg, label in frames])


def decode(text: str) -> list[ParityFrame]:
    """
    Decode the frames of a model file's text, none of an empty one.

    :raises ValueError: for a corrupt text.
    """
    try:
        return [_frame(entry) for entry in json.loads(text or '[]')]
    except (KeyError, TypeError, ValueError, cv2.error) as error:
        raise ValueError(f'its parity frames are corrupt ({reason(error)})') from error


def _frame(entry: dict[str, str]) -> ParityFrame:
    image_rgb = decompressed(_bytes(entry['image']).tobytes())
    label = cv2.imdecode(_bytes(entry['label']), cv2.IMREAD_UNCHANGED)
    if label is None or label.dtype != np.uint8 or label.shape != image_rgb.shape[:2]:
        raise ValueError("a label is no 8 bit PNG of its image's size")
    return ParityFrame(image_rgb, label)


def _text(content: bytes) -> str:
    return base64.b64encode(content).decode()


def _bytes(text: str) -> np.ndarray:
    return np.frombuffer(base64.b64decode(text, validate=True), np.uint8)
