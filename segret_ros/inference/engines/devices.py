# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""The devices of this machine: which can be used, and what the others lack."""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata
from importlib.util import find_spec
import os
from pathlib import Path
import platform
import re
import shutil
import sys
import sysconfig
from typing import NamedTuple

from segret_ros.inference.engines.device import DeviceError, gpu_of, kind_of, number_of
from segret_ros.inference.engines.gpu_code import Code, code_in
from segret_ros.inference.engines.nvidia import (
    Driver,
    find_driver,
    forbid_tf32,
    load_pip_libraries,
    missing_libraries,
)
from segret_ros.inference.engines.onnx_runtime import onnxruntime

CUDA = 'CUDAExecutionProvider'
TENSORRT = 'TensorrtExecutionProvider'
LIBRARIES = {  # of each provider, in onnxruntime's folder `capi`
    CUDA: ['libonnxruntime_providers_cuda.so'],
    TENSORRT: ['libonnxruntime_providers_tensorrt.so', 'libonnxruntime_providers_cuda.so']}
CPU_WHEEL, GPU_WHEEL = 'onnxruntime', 'onnxruntime-gpu'
WITH_LIBRARIES = f'{GPU_WHEEL}[cuda,cudnn]'
# For the CUDA of the newest onnxruntime-gpu that this Python gets, as the extra of setup.py.
TENSORRT_WHEEL = f'tensorrt-cu{13 if sys.version_info >= (3, 11) else 12}==10.*'
TORCH_NEEDS = ('torch', 'onnx')  # packages: PyTorch runs the network, onnx reads the model file
GPU_NEEDS = ('triton',)  # packages that a GPU needs besides: its kernels
WHAT_FITS = 'docs/jetson.md says what fits this JetPack'
# The devices of `auto`, by the times of docs/performance.md, and why it takes each.
WHY_AUTO = {'tensorrt': 'its engine is built',
            'torch': 'the fastest on a GPU of those measured',
            'torch:float32': 'its float16 was refused',
            'cuda': 'the fastest on a GPU of those measured, without PyTorch',
            'openvino': 'the fastest on a CPU of those measured, and no GPU can be used',
            'cpu': 'neither a GPU nor OpenVINO can be used'}


class Lack(NamedTuple):
    """
    Something a device needs and this machine does not have.

    :param what: as in `the NVIDIA driver is missing`.
    :param remedy: a command where there is one.
    """

    what: str
    remedy: str

    def __str__(self) -> str:
        return f'{self.what}: {self.remedy}'


@dataclass(frozen=True)
class Found:
    """
    What this machine has for a provider of ONNX Runtime that needs CUDA.

    :param provider: `CUDA` or `TENSORRT`.
    :param wheels: versions of those of `onnxruntime` and `onnxruntime-gpu` that are installed.
    :param providers: of ONNX Runtime.
    :param cuda: major version that ONNX Runtime was built for; 0 where unknown.
    :param missing: file names of the libraries that the provider needs and nobody finds.
    :param extras: the wheel brings the libraries of CUDA and cuDNN if asked to.
    :param code: that ONNX Runtime has for GPUs; nothing where it does not tell.
    """

    provider: str
    wheels: dict[str, str]
    providers: list[str]
    cuda: int
    driver: Driver
    missing: list[str]
    extras: bool
    code: frozenset[Code]


@dataclass(frozen=True)
class FoundTorch:
    """
    What this machine has for PyTorch.

    :param missing: those of `TORCH_NEEDS` and `GPU_NEEDS` that are not installed.
    :param cuda: major version that PyTorch was built for; 0 for one without CUDA.
    :param compiles: Triton finds what it compiles the launchers of its kernels with.
    """

    missing: list[str]
    cuda: int
    driver: Driver
    compiles: bool = True


@dataclass(frozen=True)
class Device:
    """
    A device that an engine can be asked for by name.

    :param engine: the library that runs it, with its version, and the GPU where it is known.
    :param lacks: what it needs; nothing where it can be used.
    """

    name: str
    engine: str
    lacks: list[Lack]


def list_devices() -> list[Device]:
    """Return all devices of this package, with each GPU of this machine."""
    engine, openvino, torch = onnxruntime_name(), _name_of('openvino'), _name_of('torch')
    cuda = find(CUDA)
    gpus = {f'cuda:{number}': f'{engine} on {gpu.name}'
            for number, gpu in enumerate(cuda.driver.gpus)}
    return [Device('cpu', engine, []),
            Device('openvino', openvino, [] if openvino else [_no_package('openvino')]),
            *(Device(name, its_engine, lacks_of(name, cuda))
              for name, its_engine in {'cuda': engine, **gpus}.items()),
            Device('tensorrt', engine, lacks('tensorrt')),
            *(Device(name, torch, lacks(name)) for name in ('torch', 'torch:cpu'))]


def devices_of_auto(is_built: Callable[[str], bool] = lambda device: False) -> list[str]:
    """
    Return those of `WHY_AUTO` that can be used here, in its order; `cpu` is always the last.

    :param is_built: returns whether the engine of a device that takes building is there.
    """
    return [*(['tensorrt'] if _has('tensorrt', TENSORRT) and is_built('tensorrt') else []),
            *([] if lacks('torch') else ['torch', 'torch:float32']),
            *(['cuda'] if _has('cuda', CUDA) else []),
            *(['openvino'] if find_spec('openvino') else []), 'cpu']


def _has(device: str, provider: str) -> bool:
    return provider in onnxruntime.get_available_providers() and not lacks(device)


def refuse_what_lacks(device: str) -> None:
    """
    Refuse a device that lacks something, before its library would take another or fail.

    :param device: one of `DEVICES` on a GPU, or `torch:cpu`.
    :raises DeviceError: with all that it lacks.
    """
    its_lacks = lacks(device)
    if its_lacks:
        raise DeviceError(f"device {device!r} can't be used: {'; '.join(map(str, its_lacks))}; "
                          'or use cpu')


def lacks(device: str) -> list[Lack]:
    """Return what a device lacks here, of a GPU or `torch:cpu`."""
    if kind_of(device) == 'torch':
        return torch_lacks(device, find_torch())
    return lacks_of(device, find(TENSORRT if kind_of(device) == 'tensorrt' else CUDA))


def onnxruntime_name() -> str:
    """Return the wheel and the version of the ONNX Runtime that is loaded."""
    return f'{getattr(onnxruntime, "package_name", "") or CPU_WHEEL} {onnxruntime.__version__}'


def lacks_of(device: str, found: Found) -> list[Lack]:
    """
    Return what a device lacks: first the wheel, then the driver, the libraries and the GPU.

    :param device: `cuda` or `tensorrt`, or one with a number.
    """
    return [*_wheel_lacks(found),
            *_driver_lacks(found.driver, found.cuda, 'ONNX Runtime', GPU_WHEEL),
            *_library_lacks(found), *_gpu_lacks(device, found.driver),
            *_code_lacks(device, found)]


def torch_lacks(device: str, found: FoundTorch) -> list[Lack]:
    """
    Return what a device of PyTorch lacks: first the packages, then the driver and the GPU.

    :param device: `torch`, `torch:N` or `torch:cpu`.
    """
    on_gpu = gpu_of(device) is not None
    its_lacks = [_no_package(name) for name in found.missing
                 if on_gpu or name not in GPU_NEEDS]
    if not on_gpu:
        return its_lacks
    if not found.compiles:
        its_lacks.append(Lack('Triton, which compiles the kernels, finds no C compiler or no '
                              'Python.h', 'sudo apt install gcc python3-dev'))
    if 'torch' not in found.missing and not found.cuda:
        its_lacks.append(Lack('this PyTorch was built without CUDA', _remedy(
            'pip install --force-reinstall torch, from where its wheels have CUDA (pytorch.org)')))
    return [*its_lacks, *_driver_lacks(found.driver, found.cuda, 'PyTorch', 'torch'),
            *_gpu_lacks(device, found.driver)]


def _name_of(package: str) -> str:
    """Name a package with its version; nothing where it is not installed."""
    return ' '.join([package, *installed(package).values()]) if find_spec(package) else ''


def _no_package(name: str) -> Lack:
    return Lack(f'the package {name} is not installed', f'pip install {name}')


def _wheel_lacks(found: Found) -> list[Lack]:
    provider = found.provider
    if provider in found.providers:
        return []
    wheels = ' and '.join(f'{name} {version}' for name, version in found.wheels.items())
    what = (f'{wheels or "this ONNX Runtime"} has no {provider}, only '
            f'{", ".join(found.providers)}')
    if len(found.wheels) > 1:
        what = (f'{wheels} are both installed and overwrite each other, so that there is no '
                f'{provider}, only {", ".join(found.providers)}')
    needed = [WITH_LIBRARIES, *([TENSORRT_WHEEL] if provider == TENSORRT else [])]
    return [Lack(what, _remedy(f"pip uninstall -y {' '.join(found.wheels) or CPU_WHEEL} && "
                               f"pip install {' '.join(map(repr, needed))}"))]


def _driver_lacks(driver: Driver, cuda: int, library: str, package: str) -> list[Lack]:
    """
    Return what is missing of the driver.

    :param cuda: that the library needs, a major version; 0 where unknown.
    """
    if not driver.cuda:
        return [Lack(f'the NVIDIA driver is missing ({driver.trouble})', _remedy(
            'sudo ubuntu-drivers install, or start the container with --gpus all',
            'it comes with JetPack; start the container with --runtime nvidia (docs/jetson.md)'))]
    if driver.cuda < cuda:
        return [Lack(f'the NVIDIA driver runs CUDA up to {driver.cuda}, and this {library} needs '
                     f'{cuda}', _remedy('sudo ubuntu-drivers install for a newer one, or an older '
                                        f'{package} (docs/desktop_gpu.md)'))]
    return []


def _library_lacks(found: Found) -> list[Lack]:
    tensorrt = [name for name in found.missing if name.startswith(('libnvinfer', 'libnvonnx'))]
    cuda = [name for name in found.missing if name not in tensorrt]
    lacks = []
    if cuda:
        by_pip = found.extras and f"pip install '{WITH_LIBRARIES}=={found.wheels[GPU_WHEEL]}'"
        lacks.append(Lack(f'libraries of CUDA or cuDNN are missing ({", ".join(cuda)})', _remedy(
            by_pip or 'install them and set LD_LIBRARY_PATH to their folders')))
    if tensorrt:
        wheel = f'tensorrt-cu{found.cuda}' if found.cuda else 'tensorrt'
        lacks.append(Lack(f'libraries of TensorRT are missing ({", ".join(tensorrt)})', _remedy(
            f"pip install '{wheel}=={tensorrt[0].rpartition('.')[2]}.*'")))
    return lacks


def _gpu_lacks(device: str, driver: Driver) -> list[Lack]:
    if not driver.cuda or number_of(device) < len(driver.gpus):
        return []
    if not driver.gpus:
        return [Lack(f'the NVIDIA driver finds no GPU ({driver.trouble})', _remedy(
            'nvidia-smi says more, CUDA_VISIBLE_DEVICES may hide it, a container has to be '
            'started with --gpus all',
            'CUDA_VISIBLE_DEVICES may hide it, the user has to be in the groups video and render, '
            'a container has to be started as docs/jetson.md says'))]
    there = ', '.join(f'{kind_of(device)}:{index} is {name}'
                      for index, (name, *_) in enumerate(driver.gpus))
    return [Lack(f'there is no GPU {number_of(device)}', f'use another ({there})')]


def _code_lacks(device: str, found: Found) -> list[Lack]:
    """Return what is missing where ONNX Runtime would start, and fail at the first image."""
    number, gpus = number_of(device), found.driver.gpus
    if not found.code or number >= len(gpus):
        return []
    gpu = gpus[number]
    if any(code.runs_on(gpu.capability) for code in found.code):
        return []
    capabilities = sorted({code.capability for code in found.code})
    there = ', '.join(str(capability / 10) for capability in capabilities)
    return [Lack(f'this ONNX Runtime has code for GPUs of compute capability {there}, and '
                 f'{gpu.name} has {gpu.capability / 10}', _remedy(
                     f'another {GPU_WHEEL} (docs/desktop_gpu.md says which), or torch'))]


def _remedy(on_a_pc: str, on_a_jetson: str = WHAT_FITS) -> str:
    """Return what helps on this machine; the remedies for ARM are a Jetson's."""
    return on_a_jetson if platform.machine() == 'aarch64' else on_a_pc


def find(provider: str) -> Found:
    """Return what this machine has for a provider, `CUDA` or `TENSORRT`; load its libraries."""
    load_pip_libraries()
    wheels = installed(CPU_WHEEL, GPU_WHEEL)
    providers = onnxruntime.get_available_providers()
    folder = Path(onnxruntime.__file__).parent / 'capi'
    # Without the provider, another wheel has to come first, which may need others.
    missing = [name for library in (LIBRARIES[provider] if provider in providers else [])
               for name in missing_libraries(folder / library)]
    extras = (GPU_WHEEL in wheels
              and 'cudnn' in (metadata.metadata(GPU_WHEEL).get_all('Provides-Extra') or []))
    library = folder / LIBRARIES[CUDA][0]
    code = code_in(library) if library.is_file() else frozenset()
    return Found(provider, wheels, providers, built_for_cuda(), find_driver(),
                 list(dict.fromkeys(missing)), extras, code)


def find_torch() -> FoundTorch:
    """Return what this machine has for PyTorch, without loading it, which takes seconds."""
    forbid_tf32()
    missing = [name for name in TORCH_NEEDS + GPU_NEEDS if find_spec(name) is None]
    torch = find_spec('torch')
    cuda = 0 if torch is None or torch.origin is None else cuda_of_torch(
        Path(torch.origin).with_name('version.py').read_text())
    return FoundTorch(missing, cuda, find_driver(), _compiles())


def _compiles() -> bool:
    """Return whether there is a C compiler, as Triton looks for one, with Python's headers."""
    compiler = os.environ.get('CC') or shutil.which('clang') or shutil.which('gcc')
    return bool(compiler) and Path(sysconfig.get_path('include'), 'Python.h').is_file()


def cuda_of_torch(version: str) -> int:
    """
    Return the major version of CUDA that PyTorch was built for, 0 for one without CUDA.

    :param version: text of its file `version.py`.
    """
    found = re.search(r"""^cuda\b.*=\s*['"](\d+)""", version, re.MULTILINE)
    return int(found[1]) if found else 0


def installed(*names: str) -> dict[str, str]:
    """Return the versions of those of some distributions that are installed."""
    versions = {}
    for name in names:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            pass
    return versions


def built_for_cuda() -> int:
    """Return the major version of CUDA that ONNX Runtime was built for, or 0 where unknown."""
    return int((getattr(onnxruntime, 'cuda_version', '') or '0').partition('.')[0])
