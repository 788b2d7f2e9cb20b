# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""An image as a camera took it, on its way into an engine."""

import time

import cv2
import numpy as np


class CameraImage:
    """
    An image, resized on the CPU for engines that do not do that themselves.

    :param image_rgb: (H, W, 3) uint8 RGB, of any size.
    :ivar size: (H, W).
    :ivar resize_ms: wall time of resizing it on the CPU so far.
    """

    def __init__(self, image_rgb: np.ndarray) -> None:
        self.image_rgb = np.ascontiguousarray(image_rgb)
        height, width = image_rgb.shape[:2]
        self.size = height, width
        self.resize_ms = 0.0

    def resized(self, input_size: tuple[int, int]) -> np.ndarray:
        """
        Resize the image bilinearly; at that size it is returned as it is.

        :param input_size: (height, width) of the network's input.
        :return: (height, width, 3) uint8, contiguous.
        """
        start = time.perf_counter()
        resized = self.image_rgb
        if self.size != input_size:
            resized = cv2.resize(resized, input_size[::-1], interpolation=cv2.INTER_LINEAR)
        self.resize_ms += (time.perf_counter() - start) * 1e3
        return resized
