# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Labels, confidence and overlays of photos and videos, as files in a folder."""

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from segret_ros.images.image_file import read_image
from segret_ros.inference import Segmenter
from segret_ros.labels.label_set import UNKNOWN
from segret_ros.labels.visualization import overlay
from segret_ros.offline.label_sources import Source
from segret_ros.offline.video import VideoReader, VideoWriter

LABELS, CONFIDENCE, OVERLAYS = 'labels', 'confidence', 'overlays'
OVERLAY_ALPHA = 0.5
LONGEST_JPEG = 65500  # pixels a side


class Labeller:
    """
    Labels one source after another, a frame at a time.

    :param folder: gets the files.
    :param min_confidence: 0..1; less probable pixels are unknown.
    :param every: of a video's frames, the first of so many is labelled.
    :param labelled: called after each image.
    """

    def __init__(self, segmenter: Segmenter, folder: Path, min_confidence: float, every: int,
                 labelled: Callable[[], None] = lambda: None) -> None:
        self._segmenter, self._folder = segmenter, folder
        self._min_confidence, self._every, self._labelled = min_confidence, every, labelled
        self._colors = segmenter.info.labels.color_table()
        self.images = 0
        self.pixels = np.zeros(256, np.int64)  # by label id
        self._confidence = 0.0

    @property
    def mean_confidence(self) -> float:
        """Return the mean over all images, 0..1."""
        return self._confidence / max(self.images, 1)

    def label(self, source: Source, expect: Callable[[int], None] = lambda frames: None) -> None:
        """
        Label a photo, or a video as far as it is sound.

        :param expect: called with the number of images that a source will have.
        :raises ValueError: for a damaged source, the frames before the damage being labelled.
        :raises OSError: when a file can't be written.
        """
        if source.is_video:
            self._label_video(source, expect)
            return
        expect(1)
        shown = self._label_image(read_image(source.path), str(source.name))
        suffix = '.jpg' if max(shown.shape) <= LONGEST_JPEG else '.png'
        self._write(OVERLAYS, f'{source.name}{suffix}', cv2.cvtColor(shown, cv2.COLOR_RGB2BGR))

    def _label_video(self, source: Source, expect: Callable[[int], None]) -> None:
        reader = VideoReader(source.path)
        suffix = '' if source.name.suffix.lower() == '.mp4' else '.mp4'
        path = self._folder / OVERLAYS / f'{source.name}{suffix}'
        path.parent.mkdir(parents=True, exist_ok=True)
        writer = VideoWriter(path, reader.fps / self._every)
        try:
            expect(-(-reader.announced // self._every))
            for number, image_rgb in reader.frames(self._every):
                writer.write(self._label_image(image_rgb, f'{source.name}/{number:06d}'))
        finally:
            reader.close()
            writer.close()

    def _label_image(self, image_rgb: np.ndarray, name: str) -> np.ndarray:
        """Write label and confidence of an image, and return its overlay, (H, W, 3) uint8 RGB."""
        result = self._segmenter(image_rgb, self._min_confidence)
        self._write(LABELS, f'{name}.png', result.label)
        self._write(CONFIDENCE, f'{name}.png', result.confidence)
        self.images += 1
        self.pixels += np.bincount(result.label.ravel(), minlength=256)
        self._confidence += float(result.confidence.mean()) / UNKNOWN
        self._labelled()
        return overlay(image_rgb, result.label, self._colors, OVERLAY_ALPHA)

    def _write(self, kind: str, name: str, pixels: np.ndarray) -> None:
        path = self._folder / kind / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(path, 'xb') as file:
            file.write(cv2.imencode(path.suffix, pixels)[1].tobytes())
