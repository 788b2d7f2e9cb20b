"""The network on OpenVINO, on a CPU."""

from pathlib import Path
from threading import Lock

import numpy as np
import openvino
from segret_ros.inference.model_info import HOW_TO_MAKE, ModelError


class OpenVinoEngine:
    """
    A model file, loaded on the CPU.

    It computes in bfloat16 where the processor has instructions for it: the rounding changes about
    one label in a thousand (docs/performance.md). Elsewhere it computes in float32.

    :param path: of a sound model file.
    :raises ModelError: for a file that OpenVINO can't load.
    """

    device = 'openvino'

    def __init__(self, path: str | Path) -> None:
        core = openvino.Core()
        native = 'BF16' in core.get_property('CPU', 'OPTIMIZATION_CAPABILITIES')
        try:
            compiled = core.compile_model(str(path), 'CPU', {
                'PERFORMANCE_HINT': 'LATENCY',
                'INFERENCE_PRECISION_HINT': 'bf16' if native else 'f32'})
        except RuntimeError as error:
            reason = str(error).splitlines()[0]
            raise ModelError(f"{path}: OpenVINO can't load it ({reason}); {HOW_TO_MAKE}"
                             ) from error
        version = '.'.join(openvino.__version__.split('-')[0].split('.')[:2])
        self.name = f'OpenVINO {version}, {"bfloat16" if native else "float32"}'
        self._request = compiled.create_infer_request()
        self._lock = Lock()  # a request holds one image

    def run(self, image_rgb: np.ndarray) -> np.ndarray:
        """Give the logits of an image; see `Engine`."""
        with self._lock:
            logits = self._request.infer([image_rgb[None]], share_inputs=True, share_outputs=True)
            return logits[0][0].copy()
