# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""The network in PyTorch, on an NVIDIA GPU, or on a CPU to try its weights without one."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
import re
from threading import Lock

import numpy as np
import onnx
from onnx import numpy_helper
from segret_ros.errors import reason
from segret_ros.inference.camera_image import CameraImage
from segret_ros.inference.engines.device import EXACT, gpu_of
from segret_ros.inference.engines.prediction import DevicePrediction
from segret_ros.inference.model import Model
from segret_ros.inference.model_info import HOW_TO_MAKE, ModelError
from segret_ros.network import SegRet
from segret_ros.network.deployed import DeployedSegRet, to_half
import torch
from torch import nn, Tensor
from torch.nn import functional

WARM_UP_RUNS = 3  # before the capture: libraries choose their kernels and take their memory
HALF = '.half'  # ends the name of a weight that is stored as float16 and computed with in float32
NAME = re.compile(r'(stem|downsamples|stages|decoder)\..+\.(weight|bias)')
MOST_NAMES = 3  # of wrong weights, told in a message


class TorchEngine:
    """
    A model's weights in PyTorch; see `Engine`.

    On a GPU it computes in float16, a float32 file too unless the device ends in `:float32`, but
    for normalisation, softmax and decay. Its kernels are captured once and then replayed, so that
    Python has none to launch. One image at a time: others wait.

    :param device: `torch`, `torch:1` for the second GPU, `torch:float32` to compute in what the
        file has, without TF32, or `torch:cpu`, which does so too.
    :param streams: ignored.
    :param built: ignored; needs no build step.
    :raises ModelError: for an int8 file, one whose weights are not those of its variant, or a GPU
        that does not run it.
    """

    def __init__(self, model: Model, device: str, streams: int | None = None,
                 built: Path | None = None) -> None:
        number, stored = gpu_of(device), model.info.precision
        rounds = number is not None and not device.endswith(EXACT)
        self.precision = 'float16' if rounds else 'float32'
        self.device = device
        self.name = (f"PyTorch {'.'.join(torch.__version__.split('.')[:2])}, "
                     f"{self.precision if stored == 'float32' else stored}")
        network = network_of(model)
        half = rounds or stored == 'float16'
        try:
            self._network = (OnCpu(network, half, model.info.input_size) if number is None else
                             OnGpu(network, half, model.info.input_size, number))
        except Exception as error:  # PyTorch, CUDA and Triton have many types for what they throw
            raise ModelError(f"{model.path}: PyTorch can't run it on {device} ({reason(error)}): "
                             'use another device') from error
        self._lock = Lock()

    def run(self, image_rgb: np.ndarray) -> np.ndarray:
        """Compute the logits of an image; see `Engine.run`."""
        with self._lock, torch.inference_mode():
            return self._network.logits(image_rgb)

    def predict(self, image: CameraImage, temperature: float | None) -> DevicePrediction:
        """Predict the labels of an image; see `Engine.predict`."""
        with self._lock, torch.inference_mode():
            return DevicePrediction(*self._network.planes(image, temperature))


class OnCpu:
    """
    A network on the CPU.

    While it labels it holds classes * H * W * 4 bytes, and 16 a pixel besides.

    :param half: compute in float16.
    :param input_size: (height, width).
    """

    def __init__(self, network: DeployedSegRet, half: bool, input_size: tuple[int, int]) -> None:
        self._input_size = input_size
        if half:
            to_half(network)
        network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._network = network

    def logits(self, image_rgb: np.ndarray) -> np.ndarray:
        """Compute (classes, h, w) float32."""
        return self._network(torch.tensor(image_rgb[None]))[0].numpy()

    def planes(self, image: CameraImage, temperature: float | None) -> list[np.ndarray]:
        """Compute the label and, with a temperature, the confidence: (H, W) uint8."""
        logits = self._network(torch.tensor(image.resized(self._input_size)[None]))
        return [plane.numpy() for plane in planes_of(logits, image.size, temperature)]


class OnGpu:
    """
    A network on a GPU, as a CUDA graph that is replayed.

    PyTorch's documentation asks for a warm-up on the stream of the capture, which is not the
    default one, and that all tensors stay where they are. A camera image is resized on the GPU,
    before the graph.

    :param half: compute in float16.
    :param input_size: (height, width).
    :param number: of the GPU.
    """

    def __init__(self, network: DeployedSegRet, half: bool, input_size: tuple[int, int],
                 number: int) -> None:
        # These need Triton, as only GPUs do.
        from segret_ros.inference.engines.fused import FusedSegRet, Upload
        self._place = torch.device(f'cuda:{number}')
        self._image = torch.zeros(1, *input_size, 3, dtype=torch.uint8, device=self._place)
        self._upload = Upload(self._image[0])
        self._network = FusedSegRet(network)
        if half:
            to_half(self._network)
        self._network.to(self._place)
        self._network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        with torch.cuda.device(self._place), torch.inference_mode(), without_tf32():
            stream = torch.cuda.Stream()
            stream.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(stream):
                for _ in range(WARM_UP_RUNS):
                    self._network(self._image)
            torch.cuda.current_stream().wait_stream(stream)
            self._graph = torch.cuda.CUDAGraph()
            # The node's other threads may use the GPU meanwhile, as the engine before does.
            with torch.cuda.graph(self._graph, stream=stream, capture_error_mode='thread_local'):
                self._logits = self._network(self._image)  # (h, w, classes)

    def logits(self, image_rgb: np.ndarray) -> np.ndarray:
        """Compute (classes, h, w) float32."""
        with torch.cuda.device(self._place):
            self._replay(image_rgb)
            return self._fetched(self._logits.permute(2, 0, 1).float().contiguous())[0]

    def planes(self, image: CameraImage, temperature: float | None) -> list[np.ndarray]:
        """Compute the label and, with a temperature, the confidence: (H, W) uint8."""
        with torch.cuda.device(self._place):
            self._replay(image.image_rgb)
            return self._fetched(*self._network.label(self._logits, image.size, temperature))

    def _replay(self, image_rgb: np.ndarray) -> None:
        self._upload(image_rgb)
        self._graph.replay()

    @staticmethod
    def _fetched(*tensors: Tensor) -> list[np.ndarray]:
        """Copy tensors from the GPU; once an array is dropped, PyTorch reuses its memory."""
        received = [torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=True).copy_(
            tensor, non_blocking=True) for tensor in tensors]
        torch.cuda.current_stream().synchronize()
        return [tensor.numpy() for tensor in received]


def planes_of(logits: Tensor, size: tuple[int, int], temperature: float | None) -> list[Tensor]:
    """
    Compute the label, and with a temperature the confidence, of each camera pixel.

    :param logits: (1, classes, h, w) float32.
    :param size: (H, W) of the camera.
    :return: one or two (H, W) uint8; see `Prediction`.
    """
    scores = functional.interpolate(logits, size, mode='bilinear', align_corners=False)[0]
    best, index = scores.max(dim=0)  # (H, W)
    label = index.to(torch.uint8)
    if temperature is None:
        return [label]
    total = scores.sub_(best).mul_(1 / temperature).exp_().sum(dim=0)
    return [label, (255 / total).round_().to(torch.uint8)]


@contextmanager
def without_tf32() -> Iterator[None]:
    """Compute convolutions and products of float32 in float32."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision('highest')
    try:
        with torch.backends.cudnn.flags(enabled=True, benchmark=True, allow_tf32=False):
            yield
    finally:
        torch.set_float32_matmul_precision(before)


def network_of(model: Model) -> DeployedSegRet:
    """
    Make the network of a model, in float32.

    :raises ModelError: for an int8 file, or one whose weights are not those of its variant.
    """
    info = model.info
    if info.precision == 'int8':
        raise ModelError(f'{model.path}: PyTorch does not run int8 model files: use tensorrt or '
                         'cpu, or the float16 or float32 file of the same checkpoint')
    weights = weights_of(onnx.load_model_from_string(model.content).graph)
    classify = weights.get('decoder.classify.weight')
    try:
        if classify is None:
            raise ValueError('decoder.classify.weight is missing')
        with torch.no_grad():
            network = DeployedSegRet(SegRet(info.variant, len(info.labels), classify.shape[1]))
        _check(weights, network)
    except ValueError as error:
        raise ModelError(f'{model.path}: its weights are not those of {info.variant} in this '
                         f'version of segret_ros: {error}; {HOW_TO_MAKE}') from error
    network.load_state_dict({name: torch.from_numpy(array) for name, array in weights.items()})
    return network.eval().requires_grad_(False)


def weights_of(graph: onnx.GraphProto) -> dict[str, np.ndarray]:
    """
    Return the weights of a model file by their names in PyTorch, all in float32.

    The exporter stores equal tensors once, and drops a bias of zeros: so a bias is what its
    weight's operator adds.
    """
    names = {tensor.name: tensor.name.removesuffix(HALF) for tensor in graph.initializer}
    arrays = {names[tensor.name]: numpy_helper.to_array(tensor).astype(np.float32)
              for tensor in graph.initializer}
    for node in graph.node:
        if node.op_type == 'Cast' and node.input[0] in names:
            names[node.output[0]] = names[node.input[0]]
    weights = {name: array for name, array in arrays.items() if NAME.fullmatch(name)}
    for node in graph.node:
        if node.op_type not in ('Conv', 'Gemm'):
            continue
        weight, *added = map(names.get, node.input[1:])
        if weight is not None and weight in weights:
            bias = f"{weight.removesuffix('weight')}bias"
            weights[bias] = arrays[added[0]] if added else np.zeros(len(weights[weight]),
                                                                    np.float32)
    return weights


def _check(weights: dict[str, np.ndarray], network: nn.Module) -> None:
    """
    Refuse weights that are not, name by name and shape by shape, those of a network.

    :raises ValueError: with the first of them.
    """
    expected = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
    wrong = [f'{name} is missing' for name in expected.keys() - weights.keys()]
    wrong += [f'{name} has no place' for name in weights.keys() - expected.keys()]
    wrong += [f'{name} has the shape {weights[name].shape}, not {expected[name]}'
              for name in expected.keys() & weights.keys()
              if weights[name].shape != expected[name]]
    if wrong:
        more = f' and {len(wrong) - MOST_NAMES} more' if len(wrong) > MOST_NAMES else ''
        raise ValueError('; '.join(sorted(wrong)[:MOST_NAMES]) + more)
