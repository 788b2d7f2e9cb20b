# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""The network and its labels on one device: ONNX Runtime with bound tensors."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from segret_ros.inference.camera_image import CameraImage
from segret_ros.inference.engines.onnx_runtime import (
    InferenceSession,
    open_session,
    OrtValue,
    Providers,
    SessionOptions,
)
from segret_ros.inference.engines.prediction import DevicePrediction

LABEL_HEAD = Path(__file__).with_name('label_head.onnx')  # of tools/label_head.py
CONFIDENCE_HEAD = Path(__file__).with_name('confidence_head.onnx')  # gives the labels too
Place = tuple[str, int]  # of a tensor: `cpu` or `cuda`, and the number of the GPU


class BoundEngine:
    """
    A session of a model file and the heads behind it, all on one device.

    An image goes there as (1, height, width, 3) uint8 in one copy, and its label and confidence
    come back as (H, W) uint8 in one copy each. The logits stay where they are, but for `run`.

    A thread of its own runs one image at a time, and others wait: on a GPU, ONNX Runtime keeps a
    captured graph and the state of CUDA's libraries for each thread that calls it, and does not
    allow several for a session with a graph.

    While it labels, a head holds classes * H * W * 4 bytes; twice that for the confidence, and 16
    to 24 bytes a pixel besides. 19 classes at 1080 x 1920: 0.2 and 0.35 GB; at 2160 x 3840 four
    times that.

    :param network: takes `image` and gives `logits`.
    :param heads: of `LABEL_HEAD` and `CONFIDENCE_HEAD`.
    :param place: where the sessions run.
    """

    def __init__(self, network: InferenceSession, heads: tuple[InferenceSession, InferenceSession],
                 place: Place) -> None:
        (_, height, width, _), = (taken.shape for taken in network.get_inputs())
        self._input_size = height, width
        self._binding = Binding(network, heads, place)
        self._thread = ThreadPoolExecutor(1, 'segret_bound')

    def run(self, image_rgb: np.ndarray) -> np.ndarray:
        """Compute the logits of an image; see `Engine.run`."""
        return self._thread.submit(self._binding.logits_of, image_rgb).result()

    def predict(self, image: CameraImage, temperature: float | None) -> DevicePrediction:
        """Predict the labels of an image; see `Engine.predict`."""
        image_rgb = image.resized(self._input_size)
        planes = self._thread.submit(self._binding.planes_of, image_rgb, image.size, temperature)
        return DevicePrediction(*planes.result())


class Binding:
    """
    Room for one image on a device; parameters as of `BoundEngine`.

    One session reads what another wrote: a run ends when all that it put in its stream is done.
    """

    def __init__(self, network: InferenceSession, heads: tuple[InferenceSession, InferenceSession],
                 place: Place) -> None:
        self._network = network
        (image,), (logits,) = network.get_inputs(), network.get_outputs()
        self._image = _empty(image.shape, np.uint8, place)
        self._logits = _empty(logits.shape, np.float32, place)
        self._bound = network.io_binding()
        self._bound.bind_ortvalue_input('image', self._image)
        self._bound.bind_ortvalue_output('logits', self._logits)
        self._heads = [Head(session, self._logits, place) for session in heads]

    def logits_of(self, image_rgb: np.ndarray) -> np.ndarray:
        """Return (classes, h, w) float32, copied from the device."""
        self._run(image_rgb)
        return self._logits.numpy()[0].copy()  # on a CPU numpy gives the memory of the next image

    def planes_of(self, image_rgb: np.ndarray, size: tuple[int, int],
                  temperature: float | None) -> list[np.ndarray]:
        """Return the label and, with a temperature, the confidence, copied from the device."""
        self._run(image_rgb)
        return self._heads[temperature is not None].run(size, temperature)

    def _run(self, image_rgb: np.ndarray) -> None:
        self._image.update_inplace(image_rgb[None])
        self._network.run_with_iobinding(self._bound)


class Head:
    """
    A head behind some logits; its outputs are kept for the next image of the same size.

    :param session: of `LABEL_HEAD` or `CONFIDENCE_HEAD`.
    :param logits: (1, classes, h, w) float32, there.
    """

    def __init__(self, session: InferenceSession, logits: OrtValue, place: Place) -> None:
        self._session = session
        self._classes = logits.shape()[1]
        self._place = place
        self._bound = session.io_binding()
        self._bound.bind_ortvalue_input('logits', logits)
        self._size: tuple[int, int] | None = None
        self._temperature: float | None = None
        self._outputs: list[OrtValue] = []
        self._inputs: dict[str, OrtValue] = {}  # before 1.30 a binding keeps their address alone

    def run(self, size: tuple[int, int], temperature: float | None) -> list[np.ndarray]:
        """Return the label, and the confidence of a head that has it: (H, W) uint8 each."""
        if size != self._size:
            self._bind_size(size)
        if temperature != self._temperature:
            self._bind('temperature', np.array(temperature, np.float32))
            self._temperature = temperature
        self._session.run_with_iobinding(self._bound)
        return [output.numpy().copy() for output in self._outputs]

    def _bind_size(self, size: tuple[int, int]) -> None:
        # Where the kernel wants them: the shape of what it gives has to be known to the CPU.
        self._bind('sizes', np.array([1, self._classes, *size], np.int64))
        self._outputs = []
        for output in self._session.get_outputs():
            self._outputs.append(_empty(size, np.uint8, self._place))
            self._bound.bind_ortvalue_output(output.name, self._outputs[-1])
        self._size = size

    def _bind(self, name: str, value: np.ndarray) -> None:
        self._inputs[name] = OrtValue.ortvalue_from_numpy(value)
        self._bound.bind_ortvalue_input(name, self._inputs[name])


def _empty(shape: tuple[int, ...], dtype: type, place: Place) -> OrtValue:
    return OrtValue.ortvalue_from_shape_and_type(list(shape), dtype, *place)


def heads_on(options: SessionOptions, providers: Providers
             ) -> tuple[InferenceSession, InferenceSession]:
    """
    Open the sessions of both heads.

    :raises ModelError: where ONNX Runtime can't load them so.
    """
    label, confidence = (open_session(path, options, providers)
                         for path in (LABEL_HEAD, CONFIDENCE_HEAD))
    return label, confidence
