# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""An image as a camera of some size takes it."""

import cv2
import numpy as np
from segret_ros.inference.camera_image import CameraImage


def taken(image_rgb: np.ndarray, size: tuple[int, int]) -> CameraImage:
    return CameraImage(cv2.resize(image_rgb, size[::-1]).reshape(*size, 3))
