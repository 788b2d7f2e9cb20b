# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
The network on an NVIDIA GPU by ONNX Runtime: its own kernels (CUDA), or TensorRT's.

The options are those of ONNX Runtime's documentation of both providers. CUDA runs every operator
of the network and of the heads; TensorRT has not been run yet.
"""

import logging
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from segret_ros.errors import reason
from segret_ros.inference.camera_image import CameraImage
from segret_ros.inference.engines.bound import BoundEngine, heads_on
from segret_ros.inference.engines.device import DeviceError, number_of
from segret_ros.inference.engines.devices import CUDA, refuse_what_lacks, TENSORRT
from segret_ros.inference.engines.nvidia import memory_of
from segret_ros.inference.engines.onnx_runtime import (
    CPU,
    GraphOptimizationLevel,
    InferenceSession,
    NAME,
    open_session,
    Providers,
    session_options,
    SessionOptions,
)
from segret_ros.inference.engines.prediction import DevicePrediction
from segret_ros.inference.model import Model
from segret_ros.inference.model_info import ModelError, ModelInfo

logger = logging.getLogger(__name__)

BUILT = 'tensorrt.onnx'  # of the folder that `build` fills
# Of the GPU's memory, at most. Whole attention over many cells takes gigabytes: a fixed limit
# would keep it from any GPU. A head of 150 classes comes to 2.5 GB at 1080 x 1920: a quarter of
# a GPU with 12 GB.
NETWORK_SHARE, HEAD_SHARE = 1 / 2, 1 / 4


class CudaEngine:
    """
    A model on a GPU, by ONNX Runtime's own kernels; a float32 file in float32, without TF32.

    The network's kernels are captured once, as a CUDA graph, and then replayed: to launch the
    kernels of a small network takes longer than to run them. The heads' few kernels are launched,
    for a graph holds for one size of the camera image.

    :param device: `cuda`, or `cuda:1` for the second GPU.
    :param streams: ignored; one image at a time, others wait.
    :param built: ignored; needs no build step.
    :raises ModelError: for a model that ONNX Runtime can't load.
    :raises DeviceError: for a device that is missing.
    """

    library = 'CUDA'
    precision = 'float32'

    def __init__(self, model: Model, device: str, streams: int | None = None,
                 built: Path | None = None) -> None:
        refuse_what_lacks(device)
        self.device = device
        self.name = f'{NAME}, {self.library}, {model.info.precision}'
        self._bound = self._open(model, number_of(device), built)

    def run(self, image_rgb: np.ndarray) -> np.ndarray:
        """Compute the logits of an image; see `Engine.run`."""
        return self._bound.run(image_rgb)

    def predict(self, image: CameraImage, temperature: float | None) -> DevicePrediction:
        """Predict the labels of an image; see `Engine.predict`."""
        return self._bound.predict(image, temperature)

    def _open(self, model: Model, number: int, built: Path | None) -> BoundEngine:
        try:
            return _open_captured(model, number)
        except Exception as error:  # ONNX Runtime has a type of its own for each kind of failure
            problem = reason(error)
        engine = _bound(open_on_gpu(model.path, gpu_options(), cuda_providers(number),
                                    model.content), number)
        logger.warning('%s: no CUDA graph on cuda:%d (%s): it runs, but slower', model.path,
                       number, problem)
        return engine


class TensorRtEngine(CudaEngine):
    """
    A model on a GPU by TensorRT, which is built for that GPU; parameters as of `CudaEngine`.

    TensorRT takes the types from the graph: a float16 file in float16 but for what is float32 in
    it, an int8 file as it is quantised. A float32 file is computed without TF32, which
    `nvidia.forbid_tf32` sees to: ONNX Runtime has no option for that.

    :param built: folder that `build` has filled; None: it is built now, which takes minutes.
    """

    library = 'TensorRT'

    def _open(self, model: Model, number: int, built: Path | None) -> BoundEngine:
        if built is not None:
            return _bound(_open_built(built / BUILT, model.info, number), number)
        with TemporaryDirectory() as folder:
            return _bound(_build(model, number, Path(folder) / BUILT), number)

    @classmethod
    def build(cls, model: Model, device: str, streams: int | None, folder: Path) -> None:
        """
        Write the engine; see `build_engine`.

        :raises ModelError: where TensorRT does not take the whole network.
        """
        refuse_what_lacks(device)
        _build(model, number_of(device), folder / BUILT)


def _bound(network: InferenceSession, number: int) -> BoundEngine:
    return BoundEngine(network, heads_on_gpu(number), ('cuda', number))


def _open_captured(model: Model, number: int) -> BoundEngine:
    """
    Open an engine whose network is captured as a CUDA graph.

    The first run computes the image twice and captures then, for no memory may be allocated
    meanwhile. ONNX Runtime forbids that to the other threads of the process too, whose engine
    would fail; so the capture is here, and not at the first camera image.

    :raises Exception: of any type, as where the CPU has to run an operator.
    """
    engine = _bound(open_on_gpu(model.path, gpu_options(), cuda_providers(number, capture=True),
                                model.content), number)
    engine.run(np.zeros((*model.info.input_size, 3), np.uint8))
    return engine


def _build(model: Model, number: int, file: Path) -> InferenceSession:
    """
    Write an engine to a file, an ONNX model of one node that holds it, and open its session.

    Not the session that built it: that one computes with other providers what TensorRT leaves.

    :raises ModelError: where TensorRT does not take the whole network.
    """
    open_on_gpu(model.path, gpu_options(), tensorrt_providers(number, file), model.content)
    if not file.is_file():
        raise ModelError(f'{model.path}: TensorRT takes nothing of the network: use '
                         f'cuda:{number}')
    return _open_built(file, model.info, number)


def _open_built(file: Path, info: ModelInfo, number: int) -> InferenceSession:
    """
    Open the session of a built engine.

    :param info: of the model that it was built of.
    :raises ModelError: for one that can't be loaded or holds a part of the network.
    """
    options = gpu_options()
    options.graph_optimization_level = GraphOptimizationLevel.ORT_DISABLE_ALL  # nothing to do
    session = open_on_gpu(file, options, tensorrt_providers(number))
    check_whole(session, info, file)
    return session


def check_whole(session: InferenceSession, info: ModelInfo, file: Path) -> None:
    """
    Refuse an engine of only a part of the network: of several parts the last is left.

    :raises ModelError: for such an engine.
    """
    stride_4 = [-(-side // 4) for side in info.input_size]
    expected = {'image': [1, *info.input_size, 3], 'logits': [1, len(info.labels), *stride_4]}
    found = {value.name: value.shape for value in (*session.get_inputs(), *session.get_outputs())}
    if found != expected:
        raise ModelError(f'{file}: TensorRT takes only a part of the network ({found}): use '
                         'cuda')


def gpu_options() -> SessionOptions:
    """Return the options of a session on a GPU."""
    options = session_options()
    options.enable_mem_pattern = False  # the second image would take all tensors' memory again
    return options


def open_on_gpu(path: str | Path, options: SessionOptions, providers: Providers,
                content: bytes | None = None) -> InferenceSession:
    """
    Open a session of a file on the first of some providers; see `open_session`.

    :raises ModelError: for a file that ONNX Runtime can't load.
    :raises DeviceError: for a provider that fails, or where it fell back to another.
    """
    wanted = providers[0][0]
    try:
        session = open_session(path, options, providers, content)
    except ModelError as error:
        if not isinstance(error.__cause__, (RuntimeError, ValueError)):  # a file's has other types
            raise
        raise DeviceError(f'{wanted} did not start ({reason(error.__cause__)}): use '
                          'another device, or cpu') from error
    if wanted not in session.get_providers():
        raise DeviceError(f'{wanted} did not start, though nothing that is known of is missing: '
                          'the log of ONNX Runtime says why, or use cpu')
    return session


def heads_on_gpu(number: int) -> tuple[InferenceSession, InferenceSession]:
    """
    Open the heads on a GPU, with all their operators.

    :raises DeviceError: where one would be on the CPU: that is slow, and nobody would know why.
    """
    options = gpu_options()
    options.add_session_config_entry('session.disable_cpu_ep_fallback', '1')
    try:
        return heads_on(options, cuda_providers(number, HEAD_SHARE)[:1])
    except ModelError as error:
        cause = error.__cause__ or error
        raise DeviceError(f"GPU {number} can't make the labels ({reason(cause)}): use another "
                          'version of onnxruntime-gpu (docs/desktop_gpu.md), or cpu') from error


def cuda_providers(number: int, share: float = NETWORK_SHARE, capture: bool = False) -> Providers:
    """
    Return the providers of a session on a GPU with their options, the wanted one first.

    :param number: of the GPU.
    :param share: of its memory that the session may take for weights and what it computes.
    :param capture: capture a CUDA graph at the first image and replay it from then on.
    """
    options = {
        'gpu_mem_limit': str(int(share * memory_of(number))),
        # Shapes never change: what is asked for is what is needed, not the next power of two.
        'arena_extend_strategy': 'kSameAsRequested',
        'cudnn_conv_algo_search': 'EXHAUSTIVE',  # at the first image, which warms up
        'do_copy_in_default_stream': '1',  # another stream's may be read before it is done
        'use_tf32': '0'}
    if capture:
        options['enable_cuda_graph'] = '1'
    return [(CUDA, device_option(number) | options), (CPU, {})]


def device_option(number: int) -> dict[str, str]:
    """
    Return the option of a provider that chooses a GPU: none for the first, which is the default.

    From 1.26 on ONNX Runtime looks for a plugin before its own provider where this option is
    given, and warns of each session that it has none. Its log has no switch for that alone.
    """
    return {'device_id': str(number)} if number else {}


def tensorrt_providers(number: int, file: Path | None = None) -> Providers:
    """
    Return the providers of a session by TensorRT with their options, the wanted one first.

    Neither trt_fp16_enable nor trt_int8_enable: with either, ONNX Runtime leaves the choice of
    types to TensorRT, and LayerNorm and softmax may overflow in float16. Without, the network is
    strongly typed (from ONNX Runtime 1.18 with TensorRT 9 on). For the same reason there is no
    need of trt_layer_norm_fp32_fallback. TensorRT's timings are kept in no file: each folder
    to build in is new, and a corrupt one would be one more thing to crash on.

    No trt_max_workspace_size: what needs more is left out of the choice, and where nothing is left
    for a layer of a large input the build fails. TensorRT takes what the chosen ones need.

    :param file: to write the engine to; None: write none.
    """
    options = device_option(number)
    if file is not None:
        options |= {'trt_dump_ep_context_model': 'True', 'trt_ep_context_file_path': str(file),
                    'trt_ep_context_embed_mode': '1'}  # the engine inside, not beside it
    return [(TENSORRT, options), *cuda_providers(number)]
