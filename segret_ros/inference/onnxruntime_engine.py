"""The network on ONNX Runtime, on a CPU or a CUDA device."""

import logging
from pathlib import Path

import numpy as np
import onnxruntime
from segret_ros.inference.model_info import HOW_TO_MAKE, ModelError, ModelInfo

logger = logging.getLogger(__name__)

CPU = 'CPUExecutionProvider'
CUDA = 'CUDAExecutionProvider'
TENSORRT = 'TensorrtExecutionProvider'
DEVICES = 'auto, cpu, cuda, cuda:N or tensorrt'


class DeviceError(ValueError):
    """A device that does not exist here; the message names what is missing and what is there."""


class OnnxRuntimeEngine:
    """
    A model file, loaded on a device.

    :param path: of the model file.
    :param device: `auto`, `cpu`, `cuda`, `cuda:1`, `tensorrt`; only `auto` may fall back.
    :raises ModelError: for a file that is missing, damaged or does not explain itself.
    :raises DeviceError: for a device asked for by name that is missing.
    """

    def __init__(self, path: str | Path, device: str = 'auto') -> None:
        self.path = Path(path)
        if not self.path.is_file():
            raise ModelError(f'{path}: no such model file; {HOW_TO_MAKE}')
        if device == 'auto':
            self._session, self.device = self._open_best()
        else:
            self._session, self.device = self._open(device), device
        self.info = ModelInfo.from_metadata(
            self._session.get_modelmeta().custom_metadata_map, str(path))
        self._check_signature()

    def run(self, image_rgb: np.ndarray) -> np.ndarray:
        """
        Give the logits of an image of the network's input size.

        :param image_rgb: (height, width, 3) uint8, contiguous, of `info.input_size`.
        :return: (classes, height / 4, width / 4) float32, rounded up.
        """
        return self._session.run(['logits'], {'image': image_rgb[None]})[0][0]

    def _open_best(self) -> tuple[onnxruntime.InferenceSession, str]:
        if CUDA in onnxruntime.get_available_providers():
            try:
                return self._open('cuda'), 'cuda'
            except DeviceError as error:
                logger.warning('%s; falling back to the CPU', error)
        else:
            logger.info('this ONNX Runtime has no %s: running on the CPU', CUDA)
        return self._open('cpu'), 'cpu'

    def _open(self, device: str) -> onnxruntime.InferenceSession:
        providers = providers_of(device)
        wanted = providers[0][0]
        if wanted not in onnxruntime.get_available_providers():
            raise DeviceError(f'device {device!r} needs {wanted}, which this ONNX Runtime does '
                              f'not have ({", ".join(onnxruntime.get_available_providers())}): '
                              'pip install onnxruntime-gpu in place of onnxruntime, or use cpu')
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3  # errors; a missing device is told by ours
        try:
            session = onnxruntime.InferenceSession(str(self.path), options, providers=providers)
        except Exception as error:  # ONNX Runtime has a type of its own for each kind of damage
            reason = str(error).splitlines()[0]
            raise ModelError(f"{self.path}: ONNX Runtime can't load it ({reason}); {HOW_TO_MAKE}"
                             ) from error
        if wanted not in session.get_providers():
            raise DeviceError(f'device {device!r}: {wanted} did not start, for want of a driver, '
                              'a library or the device; nvidia-smi and the log of ONNX Runtime '
                              'tell which, or use cpu')
        return session

    def _check_signature(self) -> None:
        """Refuse a graph whose input or output is not what its metadata promises."""
        stride_4 = [-(-side // 4) for side in self.info.input_size]
        expected = {'image': ['tensor(uint8)', [1, *self.info.input_size, 3]],
                    'logits': ['tensor(float)', [1, len(self.info.labels), *stride_4]]}
        found = {value.name: [value.type, value.shape] for value in
                 (*self._session.get_inputs(), *self._session.get_outputs())}
        if found != expected:
            raise ModelError(f'{self.path}: its graph has {found}, not {expected}; {HOW_TO_MAKE}')


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


def read_model_info(path: str | Path) -> ModelInfo:
    """
    Give what a model file tells of itself.

    :raises ModelError: for a file that is missing, damaged or does not explain itself.
    """
    return OnnxRuntimeEngine(path, 'cpu').info
