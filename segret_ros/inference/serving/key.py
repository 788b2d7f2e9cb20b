# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""What a built engine depends on: a change of any part of it needs another engine."""

from collections.abc import Sequence
import ctypes
from dataclasses import asdict, dataclass
import hashlib
from importlib import import_module
import json
from pathlib import Path
import re

from segret_ros.inference import telemetry
from segret_ros.inference.engines.device import DeviceError, gpu_of, kind_of
from segret_ros.inference.engines.devices import installed, onnxruntime_name
from segret_ros.inference.engines.nvidia import CUDNN, find_driver, load_pip_libraries
from segret_ros.inference.engines.onnx_runtime import onnxruntime
from segret_ros.inference.model import Model
from segret_ros.inference.processor import processor_facts, processor_name, read_cpuinfo

# What a processor can do; `cpuid level`, for OpenVINO's choice of bfloat16 depends on it.
CPU_FACTS = ('vendor_id', 'model name', 'Model', 'cpuid level', 'flags', 'Features')
NVIDIA_VERSION = Path('/proc/driver/nvidia/version')
TENSORRT_LIBRARIES = ('libnvinfer.so.10', 'libnvinfer.so.11', 'libnvinfer.so.8')  # wheels need 10
LONGEST_MODEL_NAME = 80  # characters of a folder's name


@dataclass(frozen=True)
class Key:
    """
    All that an engine's bytes and results depend on.

    The precision it computes in follows from the device, the hardware and the libraries.

    :param model: name of the model file without its ending.
    :param model_sha256: of the model file.
    :param device: one of `device.DEVICES`, not `auto`.
    :param libraries: versions by name, of those that the device uses.
    :param hardware: the processor or the GPU.
    :param precision: of the model file.
    :param input_size: height and width; a list, as JSON has it.
    :param streams: as `open_engine` takes them.
    """

    model: str
    model_sha256: str
    device: str
    libraries: dict[str, str]
    hardware: str
    precision: str
    input_size: list[int]
    streams: int | None

    @property
    def name(self) -> str:
        """Return the name of the folder that holds the engine."""
        model = re.sub(r'[^\w.-]', '_', self.model).lstrip('.')[:LONGEST_MODEL_NAME] or 'model'
        content = json.dumps(asdict(self), sort_keys=True)
        digest = hashlib.sha256(content.encode()).hexdigest()[:16]
        return f'{model}-{self.device.replace(":", "-")}-{digest}'

    def foreign(self) -> str:
        """Return why an engine of this key can't be used on this machine, or nothing if it can."""
        try:
            libraries, hardware = libraries_of(self.device), hardware_of(self.device)
        except DeviceError as error:  # of another version of this package
            return str(error)
        for name in sorted(libraries.keys() | self.libraries.keys()):
            here, built = libraries.get(name, 'missing'), self.libraries.get(name, 'none')
            if here != built:
                return f'built with {name} {built}, here it is {here}'
        return '' if hardware == self.hardware else f'built on {self.hardware}'


def key_of(model: Model, device: str, streams: int | None = None) -> Key:
    """
    Return what an engine of a model depends on, on this machine.

    :param device: one of `device.DEVICES`, not `auto`.
    :raises DeviceError: for a word that is no device.
    """
    return Key(model.name, model.sha256, device, libraries_of(device), hardware_of(device),
               model.info.precision, list(model.info.input_size), streams)


def libraries_of(device: str) -> dict[str, str]:
    """Return the versions of the libraries that a device's engine is built and run with."""
    kind = kind_of(device)
    versions = installed('segret_ros')
    if kind == 'openvino':
        versions |= _openvino()
    elif kind == 'torch':
        versions |= installed('torch')
    else:
        versions['onnxruntime'] = onnxruntime_name()
    if gpu_of(device) is not None:
        versions['driver'] = _driver_version()
    if kind in ('cuda', 'tensorrt'):  # PyTorch brings these, with its own version
        versions['cuda'] = getattr(onnxruntime, 'cuda_version', '')
        versions['cudnn'] = _own_number([CUDNN], 'cudnnGetVersion')
    if kind == 'tensorrt':
        versions['tensorrt'] = _own_number(TENSORRT_LIBRARIES, 'getInferLibVersion')
    return versions


def hardware_of(device: str) -> str:
    """Name the processor or the GPU that a device is."""
    number = gpu_of(device)
    if number is None:
        return processor(read_cpuinfo())
    gpus = find_driver().gpus
    return gpus[number].name if number < len(gpus) else 'no GPU'


def processor(cpuinfo: str) -> str:
    """
    Name a processor, with a digest of all that it can do.

    :param cpuinfo: text of /proc/cpuinfo.
    """
    facts = processor_facts(cpuinfo)
    content = json.dumps([facts.get(key, '') for key in CPU_FACTS])
    digest = hashlib.sha256(content.encode()).hexdigest()[:8]
    return f'{processor_name(facts) or "processor"} ({digest})'


def _openvino() -> dict[str, str]:
    try:
        with telemetry.switched_off():
            return {'openvino': import_module('openvino').__version__}
    except ImportError:
        return {}


def _driver_version() -> str:
    """Return the version of the NVIDIA driver, else the newest CUDA it runs."""
    text = NVIDIA_VERSION.read_text() if NVIDIA_VERSION.is_file() else ''
    number = re.search(r'\b\d+\.\d+(\.\d+)?\b', text)
    if number:
        return number[0]
    newest_cuda = find_driver().cuda
    return f'for CUDA {newest_cuda}' if newest_cuda else 'missing'


def _own_number(names: Sequence[str], function: str) -> str:
    """
    Ask a library of NVIDIA's for its version.

    :param names: of its files, the first that can be loaded is asked.
    :param function: that returns it, without arguments.
    """
    load_pip_libraries()
    for name in names:
        try:
            return str(getattr(ctypes.CDLL(name), function)())
        except (OSError, AttributeError):
            continue
    return 'missing'
