"""The network on ONNX Runtime, on a CPU or a CUDA device, in float32."""

from pathlib import Path

import numpy as np
import onnxruntime
from segret_ros.inference.device import DeviceError, DEVICES
from segret_ros.inference.devices import CUDA, find, lacks_of, TENSORRT
from segret_ros.inference.model_info import HOW_TO_MAKE, ModelError

CPU = 'CPUExecutionProvider'


class OnnxRuntimeEngine:
    """
    A model file, loaded on a device.

    :param path: of a sound model file.
    :param device: `cpu`, `cuda`, `cuda:1` or `tensorrt`.
    :param streams: of the CPU: images at once, on a core each; None: one at a time, on all cores.
    :param built: of no use to it.
    :raises ModelError: for a file that ONNX Runtime can't load.
    :raises DeviceError: for a device that is missing.
    """

    precision = 'float32'
    labels_on_device = False

    def __init__(self, path: str | Path, device: str, streams: int | None = None,
                 built: Path | None = None) -> None:
        self.path = Path(path)
        self.device = device
        version = '.'.join(onnxruntime.__version__.split('.')[:2])
        self.name = f'ONNX Runtime {version}, float32'
        self._session = self._open(device, streams)

    def run(self, image_rgb: np.ndarray) -> np.ndarray:
        """Give the logits of an image; see `Engine`."""
        return self._session.run(['logits'], {'image': image_rgb[None]})[0][0]

    def _open(self, device: str, streams: int | None) -> onnxruntime.InferenceSession:
        providers = providers_of(device)
        wanted = providers[0][0]
        if wanted != CPU:
            check_device(device, wanted)
        options = onnxruntime.SessionOptions()
        if streams is not None:  # a session runs images of several threads side by side
            options.intra_op_num_threads = 1
        options.log_severity_level = 3  # errors; a missing device is told by ours
        # Threads that go on spinning after an image would slow whatever else the machine does.
        options.add_session_config_entry('session.force_spinning_stop', '1')
        try:
            session = onnxruntime.InferenceSession(str(self.path), options, providers=providers)
        except Exception as error:  # ONNX Runtime has a type of its own for each kind of damage
            reason = str(error).splitlines()[0]
            raise ModelError(f"{self.path}: ONNX Runtime can't load it ({reason}); {HOW_TO_MAKE}"
                             ) from error
        if wanted not in session.get_providers():
            raise DeviceError(f'device {device!r}: {wanted} did not start, though nothing that is '
                              'known of is missing: the log of ONNX Runtime tells why, or use cpu')
        return session


def check_device(device: str, provider: str) -> None:
    """
    Refuse a device that lacks something, before ONNX Runtime would fall back to another.

    :raises DeviceError: with all that it lacks.
    """
    lacks = lacks_of(device, provider, find(provider))
    if lacks:
        raise DeviceError(f'device {device!r} can\'t be used: {"; ".join(map(str, lacks))}; '
                          'or use cpu')


def providers_of(device: str) -> list[tuple[str, dict]]:
    """
    Give ONNX Runtime's providers for a device, the wanted one first.

    :param device: `cpu`, `cuda`, `cuda:N` or `tensorrt`.
    :raises DeviceError: for any other word.
    """
    name, _, number = device.partition(':')
    if device == 'cpu':
        return [(CPU, {})]
    if device == 'tensorrt':
        return [(TENSORRT, {}), (CUDA, {}), (CPU, {})]
    if name == 'cuda' and (number.isdecimal() or device == 'cuda'):
        return [(CUDA, {'device_id': int(number or 0)}), (CPU, {})]
    raise DeviceError(f'no device {device!r}: use {DEVICES}')
