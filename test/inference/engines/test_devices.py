# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""What devices lack: the diagnosis by what was found, and the finding on this machine."""

from collections.abc import Callable
import ctypes
from functools import partial
from importlib import metadata
import os
from pathlib import Path
import platform
import subprocess
import sys

import onnxruntime
import pytest
from segret_ros.files.share import default_model
from segret_ros.inference import DeviceError, Segmenter
from segret_ros.inference.engines import devices as devices_module, nvidia
from segret_ros.inference.engines.devices import (
    built_for_cuda,
    CUDA,
    cuda_of_torch,
    devices_of_auto,
    find,
    find_torch,
    Found,
    FoundTorch,
    installed,
    lacks_of,
    list_devices,
    TENSORRT,
    torch_lacks,
    WHY_AUTO,
)
from segret_ros.inference.engines.gpu_code import Code, ELF, PTX
from segret_ros.inference.engines.nvidia import (
    Driver,
    find_driver,
    Gpu,
    memory_of,
    missing_libraries,
)

PROVIDERS = [TENSORRT, CUDA, 'CPUExecutionProvider']
GPU_A, GPU_B = Gpu('GPU A', 8 << 30, 87), Gpu('GPU B', 24 << 30, 121)
HERE = Driver(13, (GPU_A, GPU_B))
GONE = Driver(0, trouble='libcuda.so.1: gone')
NOBODY_HAS = 'libsegret_nobody_has_this.so.7'


@pytest.fixture(autouse=True)
def pc(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the remedies be a PC's; some tests ask for a Jetson's."""
    monkeypatch.setattr(platform, 'machine', lambda: 'x86_64')


def found(wheels: tuple[str, ...] = ('onnxruntime-gpu',), driver: Driver = HERE,
          missing: tuple[str, ...] = (), extras: bool = True, cuda: int = 13,
          provider: str = CUDA, code: tuple[Code, ...] = ()) -> Found:
    """Describe a machine that lacks nothing but what the arguments say."""
    providers = PROVIDERS if wheels == ('onnxruntime-gpu',) else PROVIDERS[-1:]
    return Found(provider, dict.fromkeys(wheels, '1.31.1'), providers, cuda, driver,
                 list(missing), extras, frozenset(code))


@pytest.mark.parametrize('device, provider', [
    ('cuda', CUDA), ('cuda:1', CUDA), ('tensorrt', TENSORRT)])
def test_a_device_that_has_everything_lacks_nothing(device: str, provider: str) -> None:
    for cuda in (13, 12, 0):  # a driver runs what was built for an older CUDA, or does not tell
        assert lacks_of(device, found(cuda=cuda, provider=provider)) == []


@pytest.mark.parametrize('wheels, what, remedy', [
    (('onnxruntime',), 'onnxruntime 1.31.1 has no CUDAExecutionProvider, only CPUExecutionP',
     "pip uninstall -y onnxruntime && pip install 'onnxruntime-gpu[cuda,cudnn]'"),
    (('onnxruntime', 'onnxruntime-gpu'),
     'onnxruntime 1.31.1 and onnxruntime-gpu 1.31.1 are both installed and overwrite each other',
     'pip uninstall -y onnxruntime onnxruntime-gpu && pip install'),
    ((), 'this ONNX Runtime has no CUDAExecutionProvider', 'pip uninstall -y onnxruntime &&'),
])
def test_the_wheel_is_told(wheels: tuple[str, ...], what: str, remedy: str) -> None:
    lack, = lacks_of('cuda', found(wheels))
    assert lack.what.startswith(what)
    assert lack.remedy.startswith(remedy)


def test_the_wheel_of_tensorrt_comes_with_that_of_onnxruntime() -> None:
    lack, = lacks_of('tensorrt', found(('onnxruntime',), provider=TENSORRT))
    cuda = 13 if sys.version_info >= (3, 11) else 12
    assert lack.remedy == ("pip uninstall -y onnxruntime && pip install 'onnxruntime-gpu"
                           f"[cuda,cudnn]' 'tensorrt-cu{cuda}==10.*'")


@pytest.mark.parametrize('driver, device, what, remedy', [
    (GONE, 'cuda', 'the NVIDIA driver is missing (libcuda.so.1: gone)',
     'sudo ubuntu-drivers install'),
    (Driver(12, (GPU_A,)), 'cuda',
     'the NVIDIA driver runs CUDA up to 12, and this ONNX Runtime needs 13', 'for a newer one'),
    (Driver(13, (), 'no device is detected'), 'tensorrt',
     'the NVIDIA driver finds no GPU (no device is detected)', 'nvidia-smi'),
    (HERE, 'cuda:2', 'there is no GPU 2', 'use another (cuda:0 is GPU A, cuda:1 is GPU B)'),
])
def test_driver_and_gpu_are_told(driver: Driver, device: str, what: str, remedy: str) -> None:
    lack, = lacks_of(device, found(driver=driver))
    assert lack.what == what
    assert remedy in lack.remedy


def test_a_gpu_that_the_wheel_has_no_code_for_is_told() -> None:
    wheel = found(code=(Code(ELF, 120), Code(ELF, 90), Code(ELF, 89)))
    for device in ('cuda', 'cuda:0', 'tensorrt'):
        lack, = lacks_of(device, wheel)
        assert lack.what == ('this ONNX Runtime has code for GPUs of compute capability 8.9, 9.0, '
                             '12.0, and GPU A has 8.7')
        assert 'another onnxruntime-gpu (docs/desktop_gpu.md' in lack.remedy
    assert lacks_of('cuda:1', wheel) == []
    assert [lack.what for lack in lacks_of('cuda:2', wheel)] == ['there is no GPU 2']
    assert lacks_of('cuda', found(code=(Code(PTX, 80),))) == []


def test_libraries_are_told_with_the_wheels_that_bring_them() -> None:
    missing = 'libcublas.so.13', 'libnvinfer.so.10', 'libcudnn.so.9', 'libnvonnxparser.so.10'
    cuda, tensorrt = lacks_of('tensorrt', found(missing=missing))
    assert cuda.what == 'libraries of CUDA or cuDNN are missing (libcublas.so.13, libcudnn.so.9)'
    assert cuda.remedy == "pip install 'onnxruntime-gpu[cuda,cudnn]==1.31.1'"
    assert tensorrt.what.endswith('TensorRT are missing (libnvinfer.so.10, libnvonnxparser.so.10)')
    assert tensorrt.remedy == "pip install 'tensorrt-cu13==10.*'"
    older = lacks_of('tensorrt', found(missing=missing, extras=False, cuda=0))
    assert 'LD_LIBRARY_PATH' in older[0].remedy
    assert older[1].remedy == "pip install 'tensorrt==10.*'"


@pytest.mark.parametrize('lacking, remedies', [
    (found(('onnxruntime',)), ['docs/jetson.md']),
    (found(missing=('libcublas.so.12', 'libnvinfer.so.10')), ['docs/jetson.md'] * 2),
    (found(driver=GONE), ['--runtime nvidia']),
    (found(driver=Driver(12, (GPU_A,))), ['docs/jetson.md']),
    (found(code=(Code(ELF, 90),)), ['docs/jetson.md']),
    (found(driver=Driver(13, (), 'none')), ['groups video and render'])])
def test_remedies_on_a_jetson_are_its_own(monkeypatch: pytest.MonkeyPatch, lacking: Found,
                                          remedies: list[str]) -> None:
    monkeypatch.setattr(platform, 'machine', lambda: 'aarch64')
    its_lacks = lacks_of('tensorrt', lacking)
    assert len(its_lacks) == len(remedies)
    for lack, remedy in zip(its_lacks, remedies):
        assert remedy in lack.remedy and 'docs/jetson.md' in lack.remedy
        assert not any(word in lack.remedy for word in ('pip ', 'ubuntu-drivers', '--gpus all'))


def test_pytorch_with_cuda_for_a_jetson_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, 'machine', lambda: 'aarch64')
    lack, = torch_lacks('torch', FoundTorch([], 0, HERE))
    assert lack.remedy == 'docs/jetson.md says what fits this JetPack'


def test_the_order_is_wheel_driver_libraries_gpu() -> None:
    none = found(('onnxruntime',), GONE, ('libcublas.so.13',), extras=False)
    assert [lack.what.split()[0] for lack in lacks_of('cuda', none)] == [
        'onnxruntime', 'the', 'libraries']
    bare = found(driver=Driver(12, (), 'none'), missing=('libcublas.so.13',))
    assert [lack.what.split('(')[0].strip() for lack in lacks_of('cuda', bare)] == [
        'the NVIDIA driver runs CUDA up to 12, and this ONNX Runtime needs 13',
        'libraries of CUDA or cuDNN are missing', 'the NVIDIA driver finds no GPU']


def test_a_missing_compiler_is_told() -> None:
    lack, = torch_lacks('torch', FoundTorch([], 13, HERE, compiles=False))
    assert 'no C compiler or no Python.h' in str(lack) and 'apt install gcc' in str(lack)
    assert torch_lacks('torch:cpu', FoundTorch([], 0, HERE, compiles=False)) == []


@pytest.mark.parametrize('device', ['torch', 'torch:1', 'torch:1:float32'])
def test_pytorch_that_has_everything_lacks_nothing(device: str) -> None:
    assert torch_lacks(device, FoundTorch([], 13, HERE)) == []
    assert torch_lacks(device, FoundTorch([], 12, HERE)) == []
    assert torch_lacks('torch:cpu', FoundTorch([], 0, GONE)) == []


@pytest.mark.parametrize('missing, cuda, driver, device, whats', [
    (['torch', 'onnx'], 0, HERE, 'torch',
     ['the package torch is not installed', 'the package onnx is not installed']),
    (['torch', 'triton'], 0, GONE, 'torch:cpu', ['the package torch is not installed']),
    (['triton'], 13, HERE, 'torch:float32', ['the package triton is not installed']),
    ([], 0, GONE, 'torch:1',
     ['this PyTorch was built without CUDA', 'the NVIDIA driver is missing (libcuda.so.1: gone)']),
    ([], 13, Driver(12, (GPU_A,)), 'torch',
     ['the NVIDIA driver runs CUDA up to 12, and this PyTorch needs 13']),
    ([], 13, Driver(13, (), 'none'), 'torch', ['the NVIDIA driver finds no GPU (none)']),
    ([], 13, HERE, 'torch:2', ['there is no GPU 2']),
])
def test_what_pytorch_lacks_is_told(missing: list[str], cuda: int, driver: Driver, device: str,
                                    whats: list[str]) -> None:
    lacks = torch_lacks(device, FoundTorch(missing, cuda, driver))
    assert [lack.what for lack in lacks] == whats
    for name, lack in zip(missing, lacks):
        assert lack.remedy == f'pip install {name}'
    if device == 'torch:2':
        assert lacks[0].remedy == 'use another (torch:0 is GPU A, torch:1 is GPU B)'


@pytest.mark.parametrize('version, cuda', [
    ("cuda: Optional[str] = '13.0'\nhip: Optional[str] = None\n", 13),
    ("__version__ = '2.6.0'\ncuda = '12.4'\n", 12),
    ("__version__ = '2.13.0+cpu'\ncuda: Optional[str] = None\nhip: str = '7.1'\n", 0),
    ('', 0)])
def test_the_cuda_of_pytorch_is_read(version: str, cuda: int) -> None:
    assert cuda_of_torch(version) == cuda


def test_this_pytorch_is_found_without_loading_it() -> None:
    torch = pytest.importorskip('torch')
    assert find_torch().cuda == int((torch.version.cuda or '0').partition('.')[0])
    code = ('import sys; from segret_ros.inference.engines.devices import *; devices_of_auto(); '
            "list_devices(); print('torch' in sys.modules)")
    ran = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True)
    assert ran.stdout == 'False\n'


@pytest.mark.parametrize('usable, expected', [
    ({'tensorrt', 'cuda', 'torch', 'openvino'},
     ['tensorrt', 'torch', 'torch:float32', 'cuda', 'openvino', 'cpu']),
    ({'cuda', 'torch', 'openvino'}, ['torch', 'torch:float32', 'cuda', 'openvino', 'cpu']),
    ({'cuda', 'openvino'}, ['cuda', 'openvino', 'cpu']),
    ({'torch'}, ['torch', 'torch:float32', 'cpu']),
    ({'openvino'}, ['openvino', 'cpu']),
    (set(), ['cpu'])])
def test_auto_takes_the_fastest_first(monkeypatch: pytest.MonkeyPatch, usable: set[str],
                                      expected: list[str]) -> None:
    monkeypatch.setattr(devices_module.onnxruntime, 'get_available_providers', lambda: PROVIDERS)
    monkeypatch.setattr(devices_module, 'find',
                        lambda provider: found(driver=HERE if 'cuda' in usable else GONE))
    monkeypatch.setattr(devices_module, 'find_torch',
                        lambda: FoundTorch([] if 'torch' in usable else ['torch'], 13, HERE))
    monkeypatch.setattr(devices_module, 'find_spec',
                        lambda name: name == 'openvino' and name in usable or None)
    assert devices_of_auto(lambda device: device in usable) == expected
    assert [device for device in WHY_AUTO if device in expected] == expected
    assert 'tensorrt' not in devices_of_auto()


def test_only_what_is_installed_has_a_version() -> None:
    assert installed('numpy', NOBODY_HAS) == {'numpy': metadata.version('numpy')}


def test_a_driver_that_is_not_there_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nvidia, 'DRIVER', NOBODY_HAS)
    found = find_driver()
    assert (found.cuda, found.gpus) == (0, ()) and NOBODY_HAS in found.trouble


@pytest.mark.parametrize('version, status, count, expected', [
    (13000, 0, 2, HERE),
    (12080, 0, 1, Driver(12, (GPU_A,))),
    (12080, 100, 2, Driver(12, (), 'no luck')),
    (12080, 0, 0, Driver(12, (), 'it counts none')),
])
def test_a_driver_is_asked_for_its_gpus(driver: Callable[..., str], version: int, status: int,
                                        count: int, expected: Driver) -> None:
    driver(version, status, count)
    assert find_driver() == expected
    assert [memory_of(number) for number in range(len(expected.gpus))] == [
        gpu.memory for gpu in expected.gpus]


def test_libraries_that_nobody_finds_are_missing(compiled: Callable[..., Path], tmp_path: Path
                                                 ) -> None:
    name = 'libsegret_is_loaded_later.so.7'  # no other test may ask for it: it stays loaded
    needed = compiled(tmp_path / name, '', f'-Wl,-soname,{name}')
    provider = compiled(tmp_path / 'libprovider.so', '', '-Wl,--no-as-needed', str(needed))
    away = tmp_path / 'away.so'
    needed.rename(away)
    assert missing_libraries(provider) == [name]
    ctypes.CDLL(str(away))  # from then on the process has it, under the name it calls itself
    assert missing_libraries(provider) == []
    assert missing_libraries(tmp_path / 'no.so') == []


def test_cudnn_is_missing_where_cublas_is_needed(compiled: Callable[..., Path], tmp_path: Path
                                                 ) -> None:
    cublas = compiled(tmp_path / 'libcublas.so.99', '', '-Wl,-soname,libcublas.so.99')
    provider = compiled(tmp_path / 'libprovider.so', '', '-Wl,--no-as-needed', str(cublas))
    cublas.unlink()
    assert missing_libraries(provider)[0] == 'libcublas.so.99'
    try:
        ctypes.CDLL('libcudnn.so.9')
    except OSError:
        assert missing_libraries(provider) == ['libcublas.so.99', 'libcudnn.so.9']


@pytest.mark.parametrize(('before', 'expected'), [(None, '0'), ('1', '1')])
def test_tf32_is_forbidden_before_a_library_is_loaded(
        monkeypatch: pytest.MonkeyPatch, before: str | None, expected: str) -> None:
    seen = []
    monkeypatch.setattr(onnxruntime, 'preload_dlls', lambda: seen.append(
        os.environ.get('NVIDIA_TF32_OVERRIDE')), raising=False)
    monkeypatch.setattr(devices_module, 'find_driver', lambda: seen.append(
        os.environ.get('NVIDIA_TF32_OVERRIDE')) or GONE)
    for look in (partial(find, CUDA), find_torch, partial(find, TENSORRT)):
        monkeypatch.setenv('NVIDIA_TF32_OVERRIDE', before or '')  # so that it is put back
        if before is None:
            monkeypatch.delenv('NVIDIA_TF32_OVERRIDE')
        look()
    assert seen == [expected] * 5


def test_this_machine_is_found_as_it_is() -> None:
    here = find(CUDA)
    assert here.providers == onnxruntime.get_available_providers()
    assert here.wheels == installed('onnxruntime', 'onnxruntime-gpu')
    assert here.cuda == built_for_cuda()
    devices = {device.name: device for device in list_devices()}
    assert list(devices)[:3] == ['cpu', 'openvino', 'cuda']
    assert list(devices)[-3:] == ['tensorrt', 'torch', 'torch:cpu']
    for name in ('torch', 'torch:cpu'):
        assert devices[name].lacks == torch_lacks(name, find_torch())
    assert devices['cpu'].lacks == []
    assert onnxruntime.__version__ in devices['cpu'].engine
    assert devices['cuda'].lacks == lacks_of('cuda', here)


def test_an_error_tells_all_that_is_missing() -> None:
    lacks = lacks_of('tensorrt', find(TENSORRT))
    if not lacks:
        pytest.skip('this machine has TensorRT')
    with pytest.raises(DeviceError) as caught:
        Segmenter(default_model(), 'tensorrt')
    assert str(caught.value) == ("device 'tensorrt' can't be used: "
                                 f"{'; '.join(map(str, lacks))}; or use cpu")


def test_an_onnxruntime_that_is_broken_is_told(tmp_path: Path) -> None:
    (tmp_path / 'onnxruntime').mkdir()  # as pip leaves it: a folder, but no module
    (tmp_path / 'onnxruntime' / '__init__.py').touch()
    code = f'import sys; sys.path.insert(0, {str(tmp_path)!r}); import segret_ros.inference'
    ran = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True)
    assert ran.returncode == 1
    assert 'the onnxruntime installation is broken' in ran.stderr.splitlines()[-1]
    assert 'pip uninstall -y onnxruntime onnxruntime-gpu' in ran.stderr.splitlines()[-1]
