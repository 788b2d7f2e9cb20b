"""The one interface of all engines, and which of them runs a model on a device."""

import importlib.util
import logging
from pathlib import Path
from typing import Protocol

import numpy as np
from segret_ros.inference.device import DeviceError
from segret_ros.inference.model_info import ModelError
from segret_ros.inference.onnxruntime_engine import has_cuda, OnnxRuntimeEngine

logger = logging.getLogger(__name__)


class Engine(Protocol):
    """
    A model file, loaded on a device; calls from several threads at once are safe.

    :param name: of the library, its version and the precision it computes in.
    :param device: where it runs, as it is asked for by name.
    """

    name: str
    device: str

    def run(self, image_rgb: np.ndarray) -> np.ndarray:
        """
        Give the logits of an image of the network's input size.

        :param image_rgb: (height, width, 3) uint8, contiguous, of the model's input size.
        :return: (classes, height / 4, width / 4) float32, rounded up.
        """


def open_engine(path: str | Path, device: str, streams: int | None = None) -> Engine:
    """
    Give a model file loaded on a device.

    `auto` takes the first that is here: a CUDA device, OpenVINO on the CPU, ONNX Runtime on the
    CPU.

    :param path: of a sound model file, as `read_model_info` finds it.
    :param device: one of `device.DEVICES`; only `auto` may fall back.
    :param streams: of a CPU: so many images at once, from as many threads, on a core each, which
        takes longer for one image and less for many. None: one image at a time, on all cores.
    :raises ModelError: for a file that the engine can't load.
    :raises DeviceError: for a device asked for by name that is missing.
    """
    if device == 'auto':
        return _open_best(path, streams)
    if device == 'openvino':
        return _open_with_openvino(path, streams)
    return OnnxRuntimeEngine(path, device, streams)


def _open_best(path: str | Path, streams: int | None) -> Engine:
    if has_cuda():
        try:
            return open_engine(path, 'cuda', streams)
        except DeviceError as error:
            logger.warning('%s; falling back to the CPU', error)
    else:
        logger.info('this ONNX Runtime has no CUDA: running on the CPU')
    try:
        return open_engine(path, 'openvino', streams)
    except DeviceError:
        logger.info('OpenVINO is not installed, which would be faster: running on ONNX Runtime')
    except ModelError as error:
        logger.warning('%s; falling back to ONNX Runtime', error)
    return open_engine(path, 'cpu', streams)


def _open_with_openvino(path: str | Path, streams: int | None) -> Engine:
    try:
        from segret_ros.inference.openvino_engine import OpenVinoEngine
    except ImportError as error:
        raise DeviceError("device 'openvino' needs the package openvino, which is not installed: "
                          'pip install openvino, or use cpu') from error
    return OpenVinoEngine(path, streams)


def devices_of_auto() -> list[str]:
    """Give the devices that `auto` may take here, the best first."""
    openvino = importlib.util.find_spec('openvino') is not None
    return [*(['cuda'] if has_cuda() else []), *(['openvino'] if openvino else []), 'cpu']
