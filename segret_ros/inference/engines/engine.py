# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""The one interface of all engines, and which of them runs a model on a device."""

from collections.abc import Callable
import logging
from pathlib import Path
from typing import Protocol, TypeVar

import numpy as np
from segret_ros.inference.camera_image import CameraImage
from segret_ros.inference.engines.cpu import OnnxRuntimeEngine
from segret_ros.inference.engines.device import DeviceError, kind_of
from segret_ros.inference.engines.devices import devices_of_auto, refuse_what_lacks, WHY_AUTO
from segret_ros.inference.engines.prediction import Prediction
from segret_ros.inference.model import Model
from segret_ros.inference.model_info import ModelError

logger = logging.getLogger(__name__)

Result = TypeVar('Result')


class Engine(Protocol):
    """
    A model on a device; calls from several threads at once are safe.

    :ivar name: the library, its version and the precision: the file's, and of a float32 file
        what it computes in.
    :ivar device: where it runs, as it is asked for by name.
    :ivar precision: what it computes a float32 graph in: `float32`, `bfloat16` or `float16`.
    """

    @property
    def name(self) -> str: ...  # noqa: D102

    @property
    def device(self) -> str: ...  # noqa: D102

    @property
    def precision(self) -> str: ...  # noqa: D102

    def run(self, image_rgb: np.ndarray) -> np.ndarray:
        """
        Compute the logits of an image.

        :param image_rgb: (height, width, 3) uint8, contiguous, of the model's input size.
        :return: (classes, height / 4, width / 4) float32, rounded up.
        """

    def predict(self, image: CameraImage, temperature: float | None) -> Prediction:
        """
        Predict the labels of an image, where the logits are.

        :param temperature: of the probabilities; None where they are not wanted.
        """


class EngineClass(Protocol):
    """Opens an engine; one with a build step has a class method `build` too."""

    def __call__(self, model: Model, device: str, streams: int | None, built: Path | None
                 ) -> Engine:
        """Open the engine; parameters as of `open_engine`."""


def open_engine(model: Model, device: str, streams: int | None = None,
                built: Path | None = None) -> Engine:
    """
    Load a model on a device.

    :param device: one of `device.DEVICES`; only `auto` may fall back.
    :param streams: images at once on a CPU, each from a thread and on a core of its own, which
        takes longer for one image and less for many. None: one image at a time, on all cores.
    :param built: folder that `build_engine` has filled for the same arguments, on this machine
        with the same libraries; None: what takes building is built now, and not cached.
    :raises ModelError: for a model that the engine can't load.
    :raises DeviceError: for a device asked for by name that is missing.
    """
    return first_that_succeeds(
        device, lambda name: _engine_class(name)(model, name, streams, built))


def build_engine(model: Model, device: str, streams: int | None, folder: Path) -> None:
    """
    Write what `open_engine` takes as `built`; nothing for an engine that needs no build step.

    :param device: one of `device.DEVICES`, not `auto`.
    :param folder: empty, to write to.
    :raises ModelError: for a model that the engine can't load.
    :raises DeviceError: for a device that is missing.
    """
    build = getattr(_engine_class(device), 'build', None)
    if build is not None:
        build(model, device, streams, folder)


def needs_building(device: str) -> bool:
    """
    Return whether a device's engine has a build step before it is loaded.

    :param device: one of `device.DEVICES`, not `auto`.
    :raises DeviceError: for a device whose library is missing.
    """
    return hasattr(_engine_class(device), 'build')


def first_that_succeeds(device: str, work: Callable[[str], Result],
                        is_built: Callable[[str], bool] = lambda device: False) -> Result:
    """
    Return what comes of a device, or of the first that `auto` may take and that succeeds.

    :param work: opens or builds the engine of a device other than `auto`.
    :param is_built: see `devices_of_auto`.
    :raises ModelError, DeviceError: of the device, or of the last that `auto` may take.
    """
    def attempt(name: str) -> Result:
        if device == 'auto':
            logger.info('auto takes %s: %s (segret_bench --device lists what the others lack)',
                        name, WHY_AUTO[name])
        return work(name)

    devices = devices_of_auto(is_built) if device == 'auto' else [device]
    for name in devices[:-1]:
        try:
            return attempt(name)
        except (DeviceError, ModelError) as error:
            logger.warning('%s; falling back to the next device', error)
    return attempt(devices[-1])


def _engine_class(device: str) -> EngineClass:
    """Return the class of a device's engine, loading its library only now."""
    kind = kind_of(device)
    if kind == 'openvino':
        try:
            from segret_ros.inference.engines.openvino import OpenVinoEngine
        except ImportError as error:
            raise DeviceError("device 'openvino' needs the package openvino, which is not "
                              'installed: pip install openvino, or use cpu') from error
        return OpenVinoEngine
    if kind == 'torch':
        refuse_what_lacks(device)
        from segret_ros.inference.engines.pytorch import TorchEngine
        return TorchEngine
    if kind == 'cpu':
        return OnnxRuntimeEngine
    from segret_ros.inference.engines.cuda import CudaEngine, TensorRtEngine
    return TensorRtEngine if kind == 'tensorrt' else CudaEngine
