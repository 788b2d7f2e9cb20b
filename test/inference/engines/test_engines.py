# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""The engines against each other, on a real model and real frames, and how one is chosen."""

from concurrent.futures import ThreadPoolExecutor
import logging
from pathlib import Path
import subprocess
import sys

import numpy as np
import pytest
from segret_ros.files.share import default_model
from segret_ros.inference import DeviceError, Model, ModelError, Segmenter
from segret_ros.inference.engines import engine as engine_module
from segret_ros.inference.engines.devices import WHY_AUTO
from segret_ros.inference.engines.engine import open_engine
from segret_ros.network import SegRet
from segret_train.protocol import predict

openvino = pytest.importorskip('openvino', reason='needs openvino, an extra')
openvino_engine = pytest.importorskip('segret_ros.inference.engines.openvino')


def test_openvino_labels_real_frames_as_onnxruntime_does(frames: list[np.ndarray]) -> None:
    fast, exact = (Segmenter(default_model(), device) for device in ('openvino', 'cpu'))
    for frame in frames[::3]:
        found, expected = fast(frame), exact(frame)
        assert np.mean(found.label == expected.label) >= 0.995
        error = found.confidence.astype(float) - expected.confidence
        assert np.abs(error).mean() < 1.5
        assert len(np.unique(expected.label)) > 5  # the comparison means something


def test_openvino_in_float32_is_the_network(monkeypatch: pytest.MonkeyPatch, network_file: Path,
                                            network: SegRet) -> None:
    monkeypatch.setattr(openvino.Core, 'get_property', lambda *arguments: ['FP32'])
    segmenter = Segmenter(network_file, 'openvino')
    assert segmenter.engine.name.endswith('float32')
    image = np.random.default_rng(0).integers(0, 256, (64, 96, 3), np.uint8)
    assert np.mean(segmenter(image).label == predict(network, image)) >= 0.999


@pytest.mark.parametrize(('cpuinfo', 'faster'), [
    ('vendor_id\t: GenuineIntel\ncpuid level\t: 32\nflags\t\t: avx512_bf16 amx_bf16\n', True),
    # A virtual machine that shows AMX, but not the size of its tiles.
    ('vendor_id\t: GenuineIntel\ncpuid level\t: 28\nflags\t\t: avx512_bf16 amx_bf16\n', False),
    ('vendor_id\t: GenuineIntel\nflags\t\t: fpu avx512_bf16\n', False),  # AMX switched off
    ('vendor_id\t: AuthenticAMD\nflags\t\t: fpu avx512_bf16\n', True),
    ('vendor_id\t: AuthenticAMD\nflags\t\t: fpu avx2\n', False),
    ('CPU implementer\t: 0x41\nFeatures\t: fp asimd bf16\n', False),
    ('', False)])
def test_openvino_rounds_only_where_that_is_faster(cpuinfo: str, faster: bool) -> None:
    assert openvino_engine.bfloat16_is_faster(cpuinfo) == faster


@pytest.mark.parametrize(('cpuinfo', 'hidden'), [
    ('cpuid level\t: 28\nflags\t\t: amx_tile amx_int8\n', True),
    ('cpuid level\t: 29\nflags\t\t: amx_tile amx_int8\n', False),
    ('cpuid level\t: 28\nflags\t\t: avx512_vnni\n', False),
    ('', False)])
def test_hidden_tiles_are_seen(cpuinfo: str, hidden: bool) -> None:
    assert openvino_engine.hides_tiles(cpuinfo) == hidden


@pytest.mark.parametrize('streams', [None, 2])
@pytest.mark.parametrize('device', ['cpu', 'openvino'])
def test_threads_may_share_an_engine(network_file: Path, device: str, streams: int | None) -> None:
    engine = open_engine(Model.load(network_file), device, streams)
    images = np.random.default_rng(0).integers(0, 256, (4, 64, 96, 3), np.uint8)
    alone = open_engine(Model.load(network_file), device)
    expected = [alone.run(image) for image in images]
    with ThreadPoolExecutor(len(images)) as threads:
        results = threads.map(lambda image: [engine.run(image) for _ in range(20)], images)
    for found, logits in zip(results, expected, strict=True):
        np.testing.assert_array_equal(found, [logits] * 20)


def test_an_engine_reports_its_name(network_file: Path) -> None:
    assert open_engine(Model.load(network_file), 'cpu').name.startswith('ONNX Runtime 1.')
    assert open_engine(Model.load(network_file), 'openvino').name.startswith('OpenVINO 20')


def test_openvino_refuses_what_it_cannot_read(tmp_path: Path) -> None:
    model = Model(tmp_path / 'corrupt.onnx', b'no model', '', Model.load(default_model()).info)
    with pytest.raises(ModelError, match="corrupt.onnx: OpenVINO can't load it"):
        open_engine(model, 'openvino')


def test_without_openvino_it_is_an_error_and_auto_goes_on(network_file: Path) -> None:
    code = f"""
import sys
sys.modules['openvino'] = None  # as if it were not installed
from segret_ros.inference import DeviceError, Segmenter
print(Segmenter({str(network_file)!r}, 'auto').engine.device)
try:
    Segmenter({str(network_file)!r}, 'openvino')
except DeviceError as error:
    print(error)
"""
    ran = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True)
    device, message = ran.stdout.splitlines()
    assert device in ('cpu', 'cuda')
    assert "device 'openvino' needs the package openvino" in message
    assert 'pip install openvino' in message


@pytest.mark.parametrize(('failing', 'chosen'), [
    ({}, ['cuda']),
    ({'cuda': DeviceError}, ['cuda', 'openvino']),
    ({'cuda': DeviceError, 'openvino': ModelError}, ['cuda', 'openvino', 'cpu']),
])
def test_auto_tries_the_fastest_first(monkeypatch: pytest.MonkeyPatch,
                                      caplog: pytest.LogCaptureFixture, failing: dict[str, type],
                                      chosen: list[str]) -> None:
    tried = []

    def attempt(device: str) -> str:
        tried.append(device)
        if device in failing:
            raise failing[device](f'no luck with {device}')
        return device

    logger = logging.getLogger(engine_module.__name__)
    logger.addHandler(caplog.handler)
    caplog.set_level(logging.INFO)
    monkeypatch.setattr(engine_module, 'devices_of_auto',
                        lambda is_built: ['cuda', 'openvino', 'cpu'])
    assert engine_module.first_that_succeeds('auto', attempt) == chosen[-1]
    logger.removeHandler(caplog.handler)
    assert tried == chosen
    assert all(f'auto takes {device}: {WHY_AUTO[device]}' in caplog.text for device in chosen)
    assert all(f'no luck with {device}; falling back to the next device' in caplog.text
               for device in failing)


def test_a_device_by_name_never_falls_back() -> None:
    def attempt(device: str) -> str:
        raise DeviceError(f'no {device}')

    with pytest.raises(DeviceError, match='no cuda'):
        engine_module.first_that_succeeds('cuda', attempt)
