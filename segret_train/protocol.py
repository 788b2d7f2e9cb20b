# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""How a checkpoint is shown an image, as mmsegmentation shows it to the published ones."""

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from segret_ros.network import SegRet
from segret_train.evaluation import network_input
from segret_train.image_size import resized, Size
import torch
from torch import Tensor
from torch.nn import functional

RATIOS = (0.5, 0.75, 1.0, 1.25, 1.5, 1.75)  # of multi-scale evaluation
MULTIPLE = 32  # of both sides of an image that is resized to a short side


@dataclass(frozen=True)
class Protocol:
    """
    How an image is shown to a network; the default is whole, at its own size.

    :param short_side: the image is resized to it as in training; then both sides grow to multiples
        of `MULTIPLE`.
    :param crop: (height, width) of a window that slides over the image.
    :param stride: (height, width) that it moves by.
    :param multi_scale: at each of `RATIOS`, with its mirror image; probabilities are averaged.
    """

    short_side: int | None = None
    crop: Size | None = None
    stride: Size | None = None
    multi_scale: bool = False

    def __post_init__(self) -> None:
        if (self.crop is None) != (self.stride is None):
            raise ValueError('a sliding window has a size and a stride: give both --crop and '
                             '--stride, or neither')
        if self.crop and not all(0 < step <= side for step, side in zip(self.stride, self.crop)):
            raise ValueError(f'--stride is {_by(self.stride)}, --crop {_by(self.crop)}: windows '
                             "that leave no gap have strides from 1 to the window's sides")
        if self.short_side is not None and self.short_side < MULTIPLE:
            raise ValueError(f'--short-side is {self.short_side}: give at least {MULTIPLE}')

    def __str__(self) -> str:
        parts = [f'windows of {_by(self.crop)} by {_by(self.stride)}' if self.crop else 'whole']
        parts += [f'short side {self.short_side}'] if self.short_side else []
        parts += ['multi-scale with mirror'] if self.multi_scale else []
        return ', '.join(parts)

    def sizes(self, size: Size) -> list[Size]:
        """Give the sizes that an image of a size is shown at."""
        return [self._size(size, ratio) for ratio in (RATIOS if self.multi_scale else (1.0,))]

    def _size(self, size: Size, ratio: float) -> Size:
        shown = resized(size, self.short_side, ratio)
        if self.short_side is None:
            return shown
        height, width = (-(-side // MULTIPLE) * MULTIPLE for side in shown)
        return height, width


@torch.inference_mode()
def segment(network: SegRet, image_rgb: np.ndarray,
            protocol: Protocol) -> tuple[np.ndarray, np.ndarray]:
    """
    Give the label of each pixel and its probability.

    :param network: in evaluation mode.
    :param image_rgb: (H, W, 3) uint8.
    :return: (H, W) uint8 classes; (H, W) float32, 0..1.
    :raises ValueError: for a network that gives what is no number.
    """
    if protocol.multi_scale:
        total = sum(logits.softmax(0) for logits in _all_logits(network, image_rgb, protocol))
        confidence, label = (total / (2 * len(RATIOS))).max(0)
    else:
        logits = next(_all_logits(network, image_rgb, protocol))
        largest, label = logits.max(0)
        confidence = (largest - logits.logsumexp(0)).exp()
    if not torch.isfinite(confidence).all():
        raise ValueError('the network gives infinite or undefined logits: its weights are damaged '
                         'or its training diverged; take another checkpoint')
    return label.to(torch.uint8).cpu().numpy(), confidence.clamp(max=1).cpu().numpy()


def _all_logits(network: SegRet, image_rgb: np.ndarray, protocol: Protocol) -> Iterator[Tensor]:
    """Give the logits of every showing at the image's size: (classes, H, W) each."""
    for size in protocol.sizes(image_rgb.shape[:2]):
        shown = image_rgb
        if size != image_rgb.shape[:2]:
            shown = cv2.resize(image_rgb, size[::-1], interpolation=cv2.INTER_LINEAR)
        batch = network_input(network, shown)
        for mirrored in (False, True) if protocol.multi_scale else (False,):
            logits = _logits(network, batch.flip(3) if mirrored else batch, protocol)
            logits = logits.flip(3) if mirrored else logits
            yield _resize(logits, image_rgb.shape[:2])[0]


def _logits(network: SegRet, batch: Tensor, protocol: Protocol) -> Tensor:
    """Give the logits at the batch's size: of the whole, or the mean of the windows."""
    size = batch.shape[2:]
    if protocol.crop is None:
        return _resize(network(batch), size)
    total, count = batch.new_zeros(1, network.num_classes, *size), batch.new_zeros(size)
    for rows in _windows(size[0], protocol.crop[0], protocol.stride[0]):
        for columns in _windows(size[1], protocol.crop[1], protocol.stride[1]):
            window = batch[:, :, rows, columns]
            total[:, :, rows, columns] += _resize(network(window), window.shape[2:])
            count[rows, columns] += 1
    return total / count


def _windows(length: int, crop: int, stride: int) -> list[slice]:
    """Give the windows along one side; the last one ends with it, and so may overlap more."""
    count = max(-(-(length - crop) // stride), 0) + 1
    ends = [min(index * stride + crop, length) for index in range(count)]
    return [slice(max(end - crop, 0), end) for end in ends]


def _resize(logits: Tensor, size: Size) -> Tensor:
    if logits.shape[2:] == size:
        return logits
    return functional.interpolate(logits, size, mode='bilinear', align_corners=False)


def _by(size: Size) -> str:
    return f'{size[0]} x {size[1]}'
