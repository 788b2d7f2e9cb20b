# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""What a network says of an image."""

import cv2
import numpy as np
from segret_ros.network import MEAN, SegRet, STD
import torch
from torch import Tensor
from torch.nn import functional


def predict(network: SegRet, image_rgb: np.ndarray,
            input_size: tuple[int, int] | None = None) -> np.ndarray:
    """
    Give the label of an image by the reference semantics that every engine must reproduce.

    :param network: in evaluation mode.
    :param image_rgb: (H, W, 3) uint8.
    :param input_size: (height, width) that the image is resized to first; its own if left out.
    :return: (H, W) uint8.
    """
    return label_of(logits_of(network, image_rgb, input_size))


@torch.inference_mode()
def logits_of(network: SegRet, image_rgb: np.ndarray,
              input_size: tuple[int, int] | None = None) -> Tensor:
    """Give the logits of an image at its own size, (classes, H, W); parameters as of `predict`."""
    resized = image_rgb
    if input_size is not None and input_size != image_rgb.shape[:2]:
        resized = cv2.resize(image_rgb, input_size[::-1], interpolation=cv2.INTER_LINEAR)
    return functional.interpolate(network(network_input(network, resized)), image_rgb.shape[:2],
                                  mode='bilinear', align_corners=False)[0]


def label_of(logits: Tensor) -> np.ndarray:
    """Give the (H, W) uint8 label of (classes, H, W) logits."""
    return logits.argmax(0).to(torch.uint8).cpu().numpy()


def network_input(network: SegRet, image_rgb: np.ndarray) -> Tensor:
    """
    Give an image as a network takes it, on the network's device.

    :param image_rgb: (H, W, 3) uint8.
    :return: (1, 3, H, W) float32, normalised, channels last in memory.
    """
    normalised = ((image_rgb - np.array(MEAN)) / np.array(STD)).astype(np.float32)
    batch = torch.from_numpy(normalised.transpose(2, 0, 1))[None]  # (1, 3, H, W)
    return batch.to(next(network.parameters()).device, memory_format=torch.channels_last)
