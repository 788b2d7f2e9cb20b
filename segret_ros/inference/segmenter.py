# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Label camera images: what the node, the evaluation and your own code call."""

from collections.abc import Callable
from dataclasses import dataclass
import math
from pathlib import Path
import time

import cv2
import numpy as np
from segret_ros.inference.camera_image import CameraImage
from segret_ros.inference.engines.engine import Engine, open_engine
from segret_ros.inference.model import Model
from segret_ros.labels.label_set import UNKNOWN


class Stopwatch:
    """Wall time from lap to lap; `laps_ms` holds those that have a name."""

    def __init__(self) -> None:
        self.laps_ms: dict[str, float] = {}
        self._last = time.perf_counter()

    def lap(self, name: str = '', less_ms: float = 0.0) -> None:
        """End a lap, less what counts elsewhere."""
        now = time.perf_counter()
        if name:
            self.laps_ms[name] = (now - self._last) * 1e3 - less_ms
        self._last = now


@dataclass(frozen=True)
class Segmentation:
    """
    The labels of one image.

    :param label: (H, W) uint8 class ids of the model; 255 is unknown.
    :param confidence: (H, W) uint8, the label's probability times 255, or None when not asked for.
    :param stages_ms: wall time of `resize`, `network`, `labels` and `confidence`, the last with
        the unsure pixels; about 0 when not asked for. Of an engine that labels on its device,
        `network` is the time of the last three, and of one that resizes there, of all.
    """

    label: np.ndarray
    confidence: np.ndarray | None
    stages_ms: dict[str, float]


class Segmenter:
    """
    A model ready to label images of any size.

    Each image is resized bilinearly to the model's input size, normalised and run through the
    network; the logits are resized bilinearly to the image's size and the largest wins. Calls from
    several threads at once are safe.

    :param model: a model file of `segret_export`: its path, or a `Model` that was loaded from it.
    :param device: `auto`, `cpu`, `openvino`, `cuda`, `cuda:1`, `tensorrt`, `torch` or another of
        `DEVICES`; only `auto` may fall back.
    :param confidence: compute `Segmentation.confidence` too, by the model's temperature.
    :param engine: runs the model in place of one opened on `device`.
    :raises ModelError: for a file that is missing, corrupt or does not explain itself.
    :raises DeviceError: for a device asked for by name that is missing.
    """

    def __init__(self, model: str | Path | Model, device: str = 'auto', confidence: bool = True,
                 engine: Engine | None = None) -> None:
        self.model = model if isinstance(model, Model) else Model.load(model)
        self.info = self.model.info
        self.engine = open_engine(self.model, device) if engine is None else engine
        self._confidence = confidence

    @property
    def device(self) -> str:
        """Return the device that the model runs on now."""
        return self.engine.device

    def __call__(self, image_rgb: np.ndarray, min_confidence: float = 0.0,
                 on_label: Callable[[np.ndarray], None] = lambda label: None) -> Segmentation:
        """
        Label an image.

        :param image_rgb: (H, W, 3) uint8, RGB, 0..255; H and W from 1.
        :param min_confidence: probability 0..1; less confident pixels are labelled 255, unknown,
            and keep their confidence.
        :param on_label: gets the label as soon as it is final: before the confidence is computed,
            unless `min_confidence` asks for that. Its time counts to no stage.
        :raises ValueError: for an image of another shape or dtype, a probability out of range, or
            one above 0 where no confidence is computed.
        """
        _check_image(image_rgb)
        self._check_min_confidence(min_confidence)
        watch, image = Stopwatch(), CameraImage(image_rgb)
        prediction = self.engine.predict(
            image, self.info.temperature if self._confidence else None)
        watch.lap('network', less_ms=image.resize_ms)
        label = prediction.label()
        watch.lap('labels')
        if not min_confidence:
            on_label(label)
            watch.lap()
        confidence = prediction.confidence() if self._confidence else None
        if confidence is not None and min_confidence:
            _forget_unsure(label, confidence, min_confidence)
        watch.lap('confidence')
        if min_confidence:
            on_label(label)
        return Segmentation(label, confidence, {'resize': image.resize_ms, **watch.laps_ms})

    def warm_up(self) -> None:
        """Run once on a black image, so that the first camera image is as fast as the next."""
        self(np.zeros((*self.info.input_size, 3), np.uint8))

    def _check_min_confidence(self, min_confidence: float) -> None:
        if not 0 <= min_confidence <= 1:  # true for NaN too
            raise ValueError(f'min_confidence is {min_confidence}: it must be a probability, '
                             '0..1; 0 keeps all labels')
        if min_confidence > 0 and not self._confidence:
            raise ValueError(f'min_confidence is {min_confidence}, but this Segmenter computes no '
                             'confidence: make it with confidence=True')


def _forget_unsure(label: np.ndarray, confidence: np.ndarray, min_confidence: float) -> None:
    """Label the pixels unknown, in place, whose confidence is below `min_confidence` * 255."""
    largest = math.ceil(min_confidence * 255) - 1  # of the unsure pixels' confidence
    unsure = cv2.threshold(confidence, largest, UNKNOWN, cv2.THRESH_BINARY_INV)[1]
    cv2.max(label, unsure, label)  # the largest id is unknown


def _check_image(image: np.ndarray) -> None:
    if not isinstance(image, np.ndarray):
        raise ValueError(f'the image is a {type(image).__name__}: give a (H, W, 3) uint8 array, '
                         "RGB, such as numpy.asarray(image.convert('RGB')) of a Pillow image")
    if image.ndim == 3 and image.shape[2] == 3 and image.dtype == np.uint8 and image.size:
        return
    raise ValueError(f'the image has shape {image.shape} and dtype {image.dtype}: it must be '
                     f'(H, W, 3) uint8, RGB, of at least 1 x 1{_way_out(image)}')


def _way_out(image: np.ndarray) -> str:
    """Return how to convert an image of another shape or dtype, or nothing."""
    if image.dtype != np.uint8:
        return '; convert it with image.astype(numpy.uint8) once its values are 0..255'
    if image.ndim == 2 or image.ndim == 3 and image.shape[2] == 1:
        return '; for a grey image give cv2.cvtColor(image, cv2.COLOR_GRAY2RGB)'
    if image.ndim == 3 and image.shape[2] == 4:
        return ('; for an RGBA image give image[..., :3], for BGRA cv2.cvtColor(image, '
                'cv2.COLOR_BGRA2RGB)')
    if image.ndim == 3 and image.shape[0] == 3:
        return '; for (3, H, W) give image.transpose(1, 2, 0)'
    if image.ndim == 4:
        return '; give one image at a time'
    return ''
