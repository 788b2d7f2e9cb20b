# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""What an engine predicts for an image, computed where its logits are."""

from functools import cached_property
from typing import Protocol

import numpy as np
from segret_ros.inference.confidence import confidence_of
from segret_ros.inference.labels import Blocks


class Prediction(Protocol):
    """The labels of a camera image, and how sure the network is of them."""

    def label(self) -> np.ndarray:
        """Return the class of each pixel, (H, W) uint8."""

    def confidence(self) -> np.ndarray:
        """Return the probability of each pixel's class times 255, (H, W) uint8."""


class HostPrediction:
    """
    A prediction that is computed on the CPU as it is asked for.

    :param logits: (classes, h, w) float32.
    :param size: (H, W) of the camera.
    :param temperature: of the probabilities; None where they are not wanted.
    """

    def __init__(self, logits: np.ndarray, size: tuple[int, int], temperature: float | None
                 ) -> None:
        self._logits, self._size, self._temperature = logits, size, temperature

    @cached_property
    def _blocks(self) -> Blocks:
        return Blocks(self._logits, self._size)

    def label(self) -> np.ndarray:
        """Label each pixel; see `Prediction.label`."""
        return self._blocks.labels()

    def confidence(self) -> np.ndarray:
        """Compute the confidence; see `Prediction.confidence`."""
        assert self._temperature is not None, 'predicted without a temperature'
        return confidence_of(self._blocks, self._temperature)


class DevicePrediction:
    """
    A prediction that was computed on the engine's device.

    :param planes: (H, W) uint8 label, and confidence where it was wanted.
    """

    def __init__(self, *planes: np.ndarray) -> None:
        self.planes = planes

    def label(self) -> np.ndarray:
        """Return the label; see `Prediction.label`."""
        return self.planes[0]

    def confidence(self) -> np.ndarray:
        """Return the confidence; see `Prediction.confidence`."""
        return self.planes[1]
