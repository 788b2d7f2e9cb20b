# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""The network on ONNX Runtime, on a CPU."""

from pathlib import Path

import numpy as np
from segret_ros.inference.camera_image import CameraImage
from segret_ros.inference.engines.onnx_runtime import CPU, NAME, open_session, session_options
from segret_ros.inference.engines.prediction import HostPrediction
from segret_ros.inference.model import Model


class OnnxRuntimeEngine:
    """
    A model on the CPU; see `Engine`.

    :param streams: images at once, on a core each; None: one at a time, on all cores.
    :param built: ignored; needs no build step.
    :raises ModelError: for a model that ONNX Runtime can't load.
    """

    device = 'cpu'
    precision = 'float32'

    def __init__(self, model: Model, device: str = device, streams: int | None = None,
                 built: Path | None = None) -> None:
        options = session_options()
        if streams is not None:  # a session runs images of several threads side by side
            options.intra_op_num_threads = 1
        # Threads that keep spinning after an image would slow whatever else the machine does.
        options.add_session_config_entry('session.force_spinning_stop', '1')
        self._session = open_session(model.path, options, [(CPU, {})], model.content)
        self.name = f'{NAME}, {model.info.precision}'
        self._input_size = model.info.input_size

    def run(self, image_rgb: np.ndarray) -> np.ndarray:
        """Compute the logits of an image; see `Engine.run`."""
        return self._session.run(['logits'], {'image': image_rgb[None]})[0][0]

    def predict(self, image: CameraImage, temperature: float | None) -> HostPrediction:
        """Predict the labels of an image; see `Engine.predict`."""
        return HostPrediction(self.run(image.resized(self._input_size)), image.size, temperature)
