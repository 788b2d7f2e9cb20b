# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""How PyTorch labels an image: by the reference semantics, or by mmsegmentation's protocols."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

import cv2
import numpy as np
from segret_ros.network import MEAN, SegRet, STD
from segret_train.augmentation import scaled_size, Size
import torch
from torch import nn, Tensor
from torch.nn import functional

Network = TypeVar('Network', bound=nn.Module)
RATIOS = (0.5, 0.75, 1.0, 1.25, 1.5, 1.75)  # of multi-scale evaluation
MULTIPLE = 32  # of both sides of an image that is resized to a short side


def predict(network: SegRet, image_rgb: np.ndarray, input_size: Size | None = None) -> np.ndarray:
    """
    Label an image by the reference semantics, which every engine must reproduce.

    :param network: in evaluation mode.
    :param image_rgb: (H, W, 3) uint8.
    :param input_size: (height, width) that the image is resized to first; its own if left out.
    :return: (H, W) uint8.
    """
    return label_of(logits_of(network, image_rgb, input_size))


@torch.inference_mode()
def logits_of(network: SegRet, image_rgb: np.ndarray, input_size: Size | None = None) -> Tensor:
    """Compute logits at the image's size, (classes, H, W); parameters as for `predict`."""
    resized = image_rgb
    if input_size is not None and input_size != image_rgb.shape[:2]:
        resized = cv2.resize(image_rgb, input_size[::-1], interpolation=cv2.INTER_LINEAR)
    return functional.interpolate(network(network_input(network, resized)), image_rgb.shape[:2],
                                  mode='bilinear', align_corners=False)[0]


def label_of(logits: Tensor) -> np.ndarray:
    """Return the (H, W) uint8 label of (classes, H, W) logits."""
    return logits.argmax(0).to(torch.uint8).cpu().numpy()


def network_input(network: SegRet, image_rgb: np.ndarray) -> Tensor:
    """
    Convert an image to a network's input, on the network's device.

    :param image_rgb: (H, W, 3) uint8.
    :return: (1, 3, H, W) float32, normalised, channels last in memory.
    """
    normalised = ((image_rgb - np.array(MEAN)) / np.array(STD)).astype(np.float32)
    batch = torch.from_numpy(normalised.transpose(2, 0, 1))[None]  # (1, 3, H, W)
    return batch.to(next(network.parameters()).device, memory_format=torch.channels_last)


def to_device(network: Network, device: torch.device | str) -> Network:
    """Move a network to a device, channels last in memory, and return it."""
    move: Any = network.to  # whose types lack the format
    return move(device, memory_format=torch.channels_last)


@dataclass(frozen=True)
class Protocol:
    """
    How an image is presented to a network; by default whole, at its own size.

    :param short_side: the image is resized to it as in training; then both sides grow to multiples
        of `MULTIPLE`.
    :param crop: (height, width) of a window that slides over the image.
    :param stride: (height, width) by which it moves.
    :param multi_scale: at each of `RATIOS`, with its mirror image; probabilities are averaged.
    """

    short_side: int | None = None
    crop: Size | None = None
    stride: Size | None = None
    multi_scale: bool = False

    def __post_init__(self) -> None:
        if (self.crop is None) != (self.stride is None):
            raise ValueError('a sliding window needs a size and a stride: give both --crop and '
                             '--stride, or neither')
        if self.crop and self.stride and not all(
                0 < step <= side for step, side in zip(self.stride, self.crop)):
            raise ValueError(f'--stride is {_by(self.stride)}, --crop {_by(self.crop)}: strides '
                             "from 1 to the window's sides leave no gaps")
        if self.short_side is not None and self.short_side < MULTIPLE:
            raise ValueError(f'--short-side is {self.short_side}: give at least {MULTIPLE}')

    def __str__(self) -> str:
        parts = [f'windows of {_by(self.crop)} by {_by(self.stride)}'
                 if self.crop and self.stride else 'whole']
        parts += [f'short side {self.short_side}'] if self.short_side else []
        parts += ['multi-scale with mirror'] if self.multi_scale else []
        return ', '.join(parts)

    def sizes(self, size: Size) -> list[Size]:
        """Return the sizes at which an image of a size is presented."""
        return [self._size(size, ratio) for ratio in (RATIOS if self.multi_scale else (1.0,))]

    def _size(self, size: Size, ratio: float) -> Size:
        scaled = scaled_size(size, self.short_side, ratio)
        if self.short_side is None:
            return scaled
        height, width = (-(-side // MULTIPLE) * MULTIPLE for side in scaled)
        return height, width


@torch.inference_mode()
def segment(network: SegRet, image_rgb: np.ndarray,
            protocol: Protocol) -> tuple[np.ndarray, np.ndarray]:
    """
    Label an image under a protocol.

    :param network: in evaluation mode.
    :param image_rgb: (H, W, 3) uint8.
    :return: (H, W) uint8 classes; their probabilities, (H, W) float32, 0..1.
    :raises ValueError: for a network whose logits are NaN or infinite.
    """
    if protocol.multi_scale:
        total: Any = sum(logits.softmax(0)
                         for logits in _all_logits(network, image_rgb, protocol))
        confidence, label = (total / (2 * len(RATIOS))).max(0)
    else:
        logits = next(_all_logits(network, image_rgb, protocol))
        largest, label = logits.max(0)
        confidence = (largest - logits.logsumexp(0)).exp()
    if not torch.isfinite(confidence).all():
        raise ValueError('the logits are NaN or infinite: the weights are corrupt or the training '
                         'diverged; take another checkpoint')
    return label.to(torch.uint8).cpu().numpy(), confidence.clamp(max=1).cpu().numpy()


def _all_logits(network: SegRet, image_rgb: np.ndarray, protocol: Protocol) -> Iterator[Tensor]:
    """Yield logits at the image's size, (classes, H, W), for each scale and mirror image."""
    for size in protocol.sizes(image_rgb.shape[:2]):
        resized = image_rgb
        if size != image_rgb.shape[:2]:
            resized = cv2.resize(image_rgb, size[::-1], interpolation=cv2.INTER_LINEAR)
        batch = network_input(network, resized)
        for mirrored in (False, True) if protocol.multi_scale else (False,):
            logits = _logits(network, batch.flip(3) if mirrored else batch, protocol)
            logits = logits.flip(3) if mirrored else logits
            yield _resize(logits, image_rgb.shape[:2])[0]


def _logits(network: SegRet, batch: Tensor, protocol: Protocol) -> Tensor:
    """Compute logits at the batch's size, of the whole image or averaged over windows."""
    size = batch.shape[2:]
    if protocol.crop is None or protocol.stride is None:
        return _resize(network(batch), size)
    total, count = batch.new_zeros(1, network.num_classes, *size), batch.new_zeros(size)
    for rows in _windows(size[0], protocol.crop[0], protocol.stride[0]):
        for columns in _windows(size[1], protocol.crop[1], protocol.stride[1]):
            window = batch[:, :, rows, columns]
            total[:, :, rows, columns] += _resize(network(window), window.shape[2:])
            count[rows, columns] += 1
    return total / count


def _windows(length: int, crop: int, stride: int) -> list[slice]:
    """Return the windows along one side; the last is aligned with the end, so may overlap more."""
    count = max(-(-(length - crop) // stride), 0) + 1
    ends = [min(index * stride + crop, length) for index in range(count)]
    return [slice(max(end - crop, 0), end) for end in ends]


def _resize(logits: Tensor, size: tuple[int, ...]) -> Tensor:
    if logits.shape[2:] == size:
        return logits
    return functional.interpolate(logits, size, mode='bilinear', align_corners=False)


def _by(size: Size) -> str:
    return f'{size[0]} x {size[1]}'
