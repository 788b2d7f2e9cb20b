"""The devices that an engine can be asked for by name."""

import onnxruntime

if not hasattr(onnxruntime, 'InferenceSession'):
    raise ImportError('onnxruntime is installed in parts, as happens where one of onnxruntime and '
                      'onnxruntime-gpu is removed: pip uninstall -y onnxruntime onnxruntime-gpu, '
                      'then pip install the one that you want')

DEVICES = 'auto, cpu, openvino, cuda, cuda:N or tensorrt'


class DeviceError(ValueError):
    """A device that does not exist here; the message names what is missing and what is there."""
