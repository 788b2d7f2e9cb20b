# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
The network in PyTorch, on an NVIDIA GPU, or on a CPU to try the same code without one.

None of it has run on a GPU: it follows PyTorch's documentation of CUDA graphs and pinned memory.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Lock

import numpy as np
from segret_ros.inference.engines.device import gpu_of
from segret_ros.inference.engines.torch_weights import network_of
from segret_ros.inference.model_file import read_model_info
from segret_ros.network.deployed import DeployedSegRet, DeployedStage
import torch
from torch import Tensor
from torch.nn import functional

WARM_UP_RUNS = 3  # before the capture: libraries choose their kernels and take their memory


class TorchEngine:
    """
    A model file's weights in PyTorch.

    A float32 file is computed in float32, without TF32; a float16 file in float16, but for
    normalisation, softmax and decay. A GPU's kernels are captured once and then replayed, so that
    Python has none to launch. While it labels it holds classes * H * W * 4 bytes, and 16 a pixel
    besides. One image at a time: others wait.

    :param path: of a sound model file.
    :param device: `torch`, `torch:1` for the second GPU, or `torch:cpu`.
    :param streams: of no use to it.
    :param built: of no use to it.
    :raises ModelError: for an int8 file, or one whose weights are not those of its variant.
    """

    precision = 'float32'
    labels_on_device = True

    def __init__(self, path: str | Path, device: str, streams: int | None = None,
                 built: Path | None = None) -> None:
        info, number = read_model_info(path), gpu_of(device)
        self.device = device
        self.name = f"PyTorch {'.'.join(torch.__version__.split('.')[:2])}, {info.precision}"
        self._on_gpu = number is not None
        place = torch.device(f'cuda:{number}' if self._on_gpu else 'cpu')
        network = network_of(path, info).to(place, memory_format=torch.channels_last)
        shape = 1, *info.input_size, 3
        self._sent = torch.empty(shape, dtype=torch.uint8, pin_memory=self._on_gpu)
        self._image = torch.zeros(shape, dtype=torch.uint8, device=place)
        self._forward = (Captured if self._on_gpu else Eager)(network, self._image)
        self._lock = Lock()

    def run(self, image_rgb: np.ndarray) -> np.ndarray:
        """Give the logits of an image; see `Engine`."""
        with self._lock, torch.inference_mode():
            return self._fetched(self._logits(image_rgb)[0])[0]

    def label(self, image_rgb: np.ndarray, size: tuple[int, int],
              temperature: float | None) -> tuple[np.ndarray, np.ndarray | None]:
        """Give the labels of an image and their probabilities; see `Engine`."""
        with self._lock, torch.inference_mode():
            planes = planes_of(self._logits(image_rgb), size, temperature)
            label, *confidence = self._fetched(*planes)
        return label, (confidence[0] if confidence else None)

    def _logits(self, image_rgb: np.ndarray) -> Tensor:
        """Give (1, classes, h, w) float32 on the device, until the next image."""
        self._sent.numpy()[0] = image_rgb
        self._image.copy_(self._sent, non_blocking=True)
        return self._forward()

    def _fetched(self, *tensors: Tensor) -> list[np.ndarray]:
        """Give tensors of the device, in one copy each; pinned memory goes back to PyTorch."""
        received = [torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=self._on_gpu).copy_(
            tensor, non_blocking=True) for tensor in tensors]
        if self._on_gpu:
            torch.cuda.current_stream(self._image.device).synchronize()
        return [tensor.numpy().copy() for tensor in received]


class Eager:
    """
    Gives the logits of what is in a tensor.

    :param image: (1, H, W, 3) uint8.
    """

    def __init__(self, network: DeployedSegRet, image: Tensor) -> None:
        self._network, self._image = network, image

    def __call__(self) -> Tensor:
        """Give (1, classes, h, w) float32."""
        return self._network(self._image)


class Captured:
    """
    Gives the logits of what is in a tensor by replaying a CUDA graph; parameters as of `Eager`.

    PyTorch's documentation asks for a warm-up on the stream of the capture, which is not the
    default one, and that all tensors stay where they are.
    """

    def __init__(self, network: DeployedSegRet, image: Tensor) -> None:
        with torch.cuda.device(image.device), torch.inference_mode(), without_tf32():
            stream = torch.cuda.Stream()
            stream.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(stream), keeping_tables(network) as tables:
                for _ in range(WARM_UP_RUNS):
                    network(image)
            torch.cuda.current_stream().wait_stream(stream)
            self._graph = torch.cuda.CUDAGraph()
            # The node's other threads may use the GPU meanwhile, as the engine before does.
            with torch.cuda.graph(self._graph, stream=stream, capture_error_mode='thread_local'):
                self._logits = network(image)
        self._used = network, image, tables  # by the graph, which keeps their addresses alone

    def __call__(self) -> Tensor:
        """Give (1, classes, h, w) float32, until the next call."""
        self._graph.replay()
        return self._logits


def planes_of(logits: Tensor, size: tuple[int, int], temperature: float | None) -> list[Tensor]:
    """
    Give the label, and with a temperature the confidence, of each camera pixel.

    :param logits: (1, classes, h, w) float32.
    :param size: (H, W) of the camera.
    :return: one or two (H, W) uint8; see `Engine.label`.
    """
    scores = functional.interpolate(logits, size, mode='bilinear', align_corners=False)[0]
    best, index = scores.max(dim=0)  # (H, W)
    label = index.to(torch.uint8)
    if temperature is None:
        return [label]
    total = scores.sub_(best).mul_(1 / temperature).exp_().sum(dim=0)
    return [label, (255 / total).round_().to(torch.uint8)]


@contextmanager
def keeping_tables(network: DeployedSegRet) -> Iterator[list[Tensor]]:
    """Give a list of the decay tables that the network uses by then: its cache may drop them."""
    tables: list[Tensor] = []

    def keep(stage: DeployedStage, arguments: tuple[Tensor]) -> None:
        height, width = arguments[0].shape[2:]
        tables.extend([stage.decay.line(width), stage.decay.line(height)] if stage.decomposed else
                      [stage.decay.grid(height, width)])

    hooks = [stage.register_forward_pre_hook(keep) for stage in network.stages]
    try:
        yield tables
    finally:
        for hook in hooks:
            hook.remove()


@contextmanager
def without_tf32() -> Iterator[None]:
    """Let convolutions and products of float32 be computed in float32."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision('highest')
    try:
        with torch.backends.cudnn.flags(enabled=True, benchmark=True, allow_tf32=False):
            yield
    finally:
        torch.set_float32_matmul_precision(before)
