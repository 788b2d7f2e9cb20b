# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""The NVIDIA driver and the libraries of CUDA and TensorRT, as this machine has them."""

from contextlib import redirect_stdout
import ctypes
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
import io
import os
from pathlib import Path
import re
import subprocess
from typing import NamedTuple

from segret_ros.inference.engines.onnx_runtime import onnxruntime

DRIVER = 'libcuda.so.1'
CUDNN = 'libcudnn.so.9'
CAPABILITY_MAJOR, CAPABILITY_MINOR = 75, 76  # numbers of attributes of a device


class Gpu(NamedTuple):
    """
    A GPU.

    :param memory: in bytes; a Jetson's is the CPU's too.
    :param capability: compute capability times ten: 87 is 8.7.
    """

    name: str
    memory: int
    capability: int


@dataclass(frozen=True)
class Driver:
    """
    The NVIDIA driver.

    :param cuda: the newest CUDA it runs, a major version; 0 where it can't be loaded.
    :param gpus: in the order of their numbers.
    :param trouble: why there are none, in the driver's or the loader's words.
    """

    cuda: int
    gpus: tuple[Gpu, ...] = ()
    trouble: str = ''


def memory_of(number: int) -> int:
    """Return the memory of a GPU that the driver counts, in bytes."""
    return find_driver().gpus[number].memory


def find_driver() -> Driver:
    """Describe the NVIDIA driver (CUDA driver API: version, initialisation, devices)."""
    try:
        cuda = ctypes.CDLL(DRIVER)
    except OSError as error:
        return Driver(0, trouble=str(error).removesuffix(': No such file or directory'))
    number, text = ctypes.c_int(), ctypes.c_char_p()
    cuda.cuDriverGetVersion(ctypes.byref(number))
    newest = number.value // 1000
    status = cuda.cuInit(0) or cuda.cuDeviceGetCount(ctypes.byref(number))
    if status or not number.value:
        cuda.cuGetErrorString(status, ctypes.byref(text))
        return Driver(newest, (), (text.value or b'').decode() if status else 'it counts none')
    return Driver(newest, tuple(_read_gpu(cuda, index) for index in range(number.value)))


def _read_gpu(cuda: ctypes.CDLL, index: int) -> Gpu:
    device, size = ctypes.c_int(), ctypes.c_size_t()
    name, major, minor = ctypes.create_string_buffer(256), ctypes.c_int(), ctypes.c_int()
    cuda.cuDeviceGet(ctypes.byref(device), index)
    cuda.cuDeviceGetName(name, len(name), device)
    cuda.cuDeviceTotalMem_v2(ctypes.byref(size), device)
    cuda.cuDeviceGetAttribute(ctypes.byref(major), CAPABILITY_MAJOR, device)
    cuda.cuDeviceGetAttribute(ctypes.byref(minor), CAPABILITY_MINOR, device)
    return Gpu(name.value.decode(), size.value, 10 * major.value + minor.value)


def missing_libraries(library: Path) -> list[str]:
    """
    Return the file names of the libraries that a provider's library needs and nobody finds.

    The driver's is left out, and so is what this process has loaded from elsewhere. Where there
    is no such file or no ldd, nothing is missing: then ONNX Runtime itself has to tell.
    """
    try:
        needed = subprocess.run(['ldd', str(library)], capture_output=True, text=True,
                                env={**os.environ, 'LC_ALL': 'C'}).stdout
    except OSError:
        return []
    names = re.findall(r'^\s*(\S+) => not found', needed, re.MULTILINE)
    if 'libcublas' in needed and 'libcudnn' not in needed:
        names.append(CUDNN)  # newer ones load it when a convolution asks for it
    return [name for name in names if name != DRIVER and not _loads(name)]


def _loads(name: str) -> bool:
    try:
        ctypes.CDLL(name)
    except OSError:
        return False
    return True


def load_pip_libraries() -> None:
    """Load the libraries of CUDA and TensorRT that pip installed: no search path has them."""
    forbid_tf32()
    if hasattr(onnxruntime, 'preload_dlls'):  # from 1.21 on
        with redirect_stdout(io.StringIO()):  # it prints what it does not find
            onnxruntime.preload_dlls()
    if find_spec('tensorrt_libs'):
        import_module('tensorrt_libs')  # loads its libraries


def forbid_tf32() -> None:
    """
    Let NVIDIA's libraries compute float32 in float32, not in TF32 with its 10 bits.

    They may read this variable once, so it is set before cuBLAS, cuDNN and TensorRT are loaded,
    for whatever the process runs on a GPU. Of our engines PyTorch's asks for the same itself.
    """
    os.environ.setdefault('NVIDIA_TF32_OVERRIDE', '0')
