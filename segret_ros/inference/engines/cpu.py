# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""The network on ONNX Runtime on a CPU, and what its engines on GPUs share with it."""

from pathlib import Path

import numpy as np
from segret_ros.inference.engines.onnx_runtime import onnxruntime
from segret_ros.inference.model_info import HOW_TO_MAKE, ModelError
from segret_ros.reason import reason

CPU = 'CPUExecutionProvider'
NAME = f"ONNX Runtime {'.'.join(onnxruntime.__version__.split('.')[:2])}"


class OnnxRuntimeEngine:
    """
    A model file, loaded on the CPU.

    :param path: of a sound model file.
    :param streams: images at once, on a core each; None: one at a time, on all cores.
    :param built: of no use to it.
    :raises ModelError: for a file that ONNX Runtime can't load.
    """

    device = 'cpu'
    precision = 'float32'
    labels_on_device = False

    def __init__(self, path: str | Path, device: str = device, streams: int | None = None,
                 built: Path | None = None) -> None:
        options = session_options()
        if streams is not None:  # a session runs images of several threads side by side
            options.intra_op_num_threads = 1
        # Threads that go on spinning after an image would slow whatever else the machine does.
        options.add_session_config_entry('session.force_spinning_stop', '1')
        self._session = open_session(path, options, [(CPU, {})])
        metadata = self._session.get_modelmeta().custom_metadata_map
        self.name = f"{NAME}, {metadata.get('segret.precision', self.precision)}"

    def run(self, image_rgb: np.ndarray) -> np.ndarray:
        """Give the logits of an image; see `Engine`."""
        return self._session.run(['logits'], {'image': image_rgb[None]})[0][0]


def session_options() -> onnxruntime.SessionOptions:
    """Give options of a session that tells errors alone; a missing device is told by ours."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    return options


def open_session(path: str | Path, options: onnxruntime.SessionOptions,
                 providers: list[tuple[str, dict]]) -> onnxruntime.InferenceSession:
    """
    Give the session of a model file, by no providers but these.

    :raises ModelError: for a file that ONNX Runtime can't load; its cause is the first error.
    """
    try:
        # Up to 1.22 it takes no notice of enable_fallback: it prints the error and tries others.
        return onnxruntime.InferenceSession(str(path), options, providers=providers,
                                            enable_fallback=0)
    except Exception as error:  # ONNX Runtime has a type of its own for each kind of damage
        first = error.__cause__ or error  # where the others failed too
        raise ModelError(f"{path}: ONNX Runtime can't load it ({reason(first)}); {HOW_TO_MAKE}"
                         ) from first
