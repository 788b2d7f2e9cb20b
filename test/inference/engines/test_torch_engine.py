# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""PyTorch as an engine, on a CPU: the code of a GPU but for the captured graph."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
import subprocess
import sys

import cv2
import numpy as np
import onnx
from onnx import numpy_helper
import pytest
from segret_ros.files.share import default_model
from segret_ros.inference import DeviceError, Model, ModelError, Segmenter
from segret_ros.inference.engines import pytorch
from segret_ros.inference.engines.devices import lacks
from segret_ros.inference.engines.engine import needs_building, open_engine
from segret_ros.inference.engines.pytorch import (
    network_of,
    weights_of,
    without_tf32,
)
from segret_ros.network import SegRet
from segret_ros.network.deployed import DeployedSegRet
from segret_train.onnx_model import save_model, store_as_half
from taken import taken
import torch


@pytest.fixture(scope='module')
def weights(network_file: Path) -> dict[str, np.ndarray]:
    """Read the weights of the random network's file."""
    return weights_of(onnx.load(network_file).graph)


def written(model: onnx.ModelProto, like: Path, path: Path, **changes) -> Path:
    """Write a model file of a graph, with the metadata of another file but for some changes."""
    save_model(model, replace(Model.load(like).info, **changes), path)
    return path


def test_it_labels_real_frames_as_the_cpu_does(frames: list[np.ndarray]) -> None:
    found, exact = (Segmenter(default_model(), device) for device in ('torch:cpu', 'cpu'))
    for frame in frames[::6]:
        for size in ((360, 480), (77, 133)):
            image = cv2.resize(frame, size[::-1])
            result, expected = found(image), exact(image)
            assert np.mean(result.label == expected.label) >= 0.999
            assert np.abs(result.confidence.astype(int) - expected.confidence).max() <= 4
    assert len(np.unique(exact(frames[0]).label)) > 5  # the comparison means something


def test_it_labels_as_the_cpu_does_on_random_weights(network_file: Path) -> None:
    found, exact = (Segmenter(network_file, device) for device in ('torch:cpu', 'cpu'))
    images = np.random.default_rng(0).integers(0, 256, (4, 200, 160, 3), np.uint8)
    for image in images:
        assert np.mean(found(image).label == exact(image).label) >= 0.999
    alone = Segmenter(network_file, 'torch:cpu', confidence=False)
    assert alone(images[0]).confidence is None
    np.testing.assert_array_equal(alone(images[0]).label, found(images[0]).label)


def test_the_weights_are_those_of_the_network(network: SegRet,
                                              weights: dict[str, np.ndarray]) -> None:
    with torch.no_grad():
        expected = DeployedSegRet(network).state_dict()
    assert weights.keys() == expected.keys()
    for name, tensor in expected.items():
        np.testing.assert_array_equal(weights[name], tensor.numpy())


def test_weights_stored_as_half_are_read(network_file: Path,
                                         weights: dict[str, np.ndarray]) -> None:
    model = onnx.load(network_file)
    store_as_half(model)
    stored = weights_of(model.graph)
    assert stored.keys() == weights.keys()
    for name, array in weights.items():
        assert stored[name].dtype == np.float32
        np.testing.assert_allclose(stored[name], array, rtol=1e-3, atol=1e-5)


def test_a_float16_file_is_computed_in_float16(network_file: Path, tmp_path: Path) -> None:
    model = onnx.load(network_file)
    store_as_half(model)
    path = written(model, network_file, tmp_path / 'half.onnx', precision='float16')
    image = np.random.default_rng(0).integers(0, 256, (64, 96, 3), np.uint8)
    engine = open_engine(Model.load(path), 'torch:cpu')
    assert engine.name.endswith('float16')
    logits = engine.run(image)
    assert logits.dtype == np.float32 and np.isfinite(logits).all()
    exact = open_engine(Model.load(network_file), 'torch:cpu').run(image)
    difference = np.abs(logits - exact).max()
    assert 1e-4 < difference < 0.1  # it did round, and no more than that


def test_float32_is_no_tf32_and_all_is_put_back() -> None:
    before = torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32
    try:
        torch.set_float32_matmul_precision('high')
        with without_tf32():
            assert torch.get_float32_matmul_precision() == 'highest'
            assert not torch.backends.cudnn.allow_tf32
        assert torch.get_float32_matmul_precision() == 'high'
        assert torch.backends.cudnn.allow_tf32 == before[1]
    finally:
        torch.set_float32_matmul_precision(before[0])


def test_threads_may_share_it(network_file: Path) -> None:
    engine = open_engine(Model.load(network_file), 'torch:cpu')
    assert not needs_building('torch:cpu')
    images = np.random.default_rng(0).integers(0, 256, (3, 64, 96, 3), np.uint8)
    expected = [engine.predict(taken(image, (100, 140)), 1.0).planes for image in images]

    def work(image: np.ndarray) -> list:
        return [engine.predict(taken(image, (100, 140)), 1.0).planes for _ in range(5)]

    with ThreadPoolExecutor(len(images)) as threads:
        found = threads.map(work, images)
    for planes, its_first in zip(found, expected, strict=True):
        np.testing.assert_array_equal(planes, [its_first] * 5)


def test_an_int8_file_is_refused(network_file: Path, tmp_path: Path) -> None:
    path = written(onnx.load(network_file), network_file, tmp_path / 'int8.onnx', precision='int8')
    with pytest.raises(ModelError, match='int8.onnx: PyTorch does not run int8 model files: use '):
        open_engine(Model.load(path), 'torch:cpu')


@pytest.mark.parametrize(('old', 'new', 'problem'), [
    ('decoder.classify.weight', 'classes', 'decoder.classify.weight is missing'),
    ('stages.0.blocks.1.query.weight', 'gone', 'stages.0.blocks.1.query.weight is missing'),
    ('stages.0.blocks.1.query.weight', 'stages.0.blocks.9.query.weight',
     'stages.0.blocks.1.query.weight is missing; stages.0.blocks.9.query.bias has no place and 1'),
])
def test_other_weights_are_refused(network_file: Path, tmp_path: Path, old: str, new: str,
                                   problem: str) -> None:
    model = onnx.load(network_file)
    for tensor in model.graph.initializer:
        tensor.name = new if tensor.name == old else tensor.name
    for node in model.graph.node:
        node.input[:] = [new if name == old else name for name in node.input]
    path = written(model, network_file, tmp_path / 'other.onnx')
    with pytest.raises(ModelError) as caught:
        open_engine(Model.load(path), 'torch:cpu')
    assert 'other.onnx: its weights are not those of nano' in str(caught.value)
    assert problem in str(caught.value)


def test_weights_of_another_shape_or_variant_are_refused(network_file: Path,
                                                         tmp_path: Path) -> None:
    model = onnx.load(network_file)
    weight = next(tensor for tensor in model.graph.initializer
                  if tensor.name == 'stages.1.blocks.0.key.weight')
    array = numpy_helper.to_array(weight)
    weight.CopyFrom(numpy_helper.from_array(array[:, :-1].copy(), weight.name))
    saved = _saved(model, tmp_path)
    with pytest.raises(ModelError, match=r'key.weight has the shape \(\d+, \d+\), not \(\d+, \d+'):
        network_of(replace(Model.load(network_file), path=saved, content=saved.read_bytes()))
    tiny = written(onnx.load(network_file), network_file, tmp_path / 'tiny.onnx', variant='tiny')
    with pytest.raises(ModelError, match=r'not those of tiny .* and \d+ more'):
        open_engine(Model.load(tiny), 'torch:cpu')
    none = written(onnx.load(network_file), network_file, tmp_path / 'none.onnx', variant='huge')
    with pytest.raises(ModelError, match="no SegRet variant 'huge'"):
        open_engine(Model.load(none), 'torch:cpu')


def _saved(model: onnx.ModelProto, folder: Path) -> Path:
    path = folder / 'shape.onnx'
    path.write_bytes(model.SerializeToString())
    return path


@pytest.mark.parametrize('missing', ['torch', 'onnx'])
def test_a_missing_package_is_told_with_its_command(missing: str) -> None:
    code = f"""
import sys
sys.modules[{missing!r}] = None  # as if it were not installed
from segret_ros.inference import DeviceError, Segmenter
from segret_ros.files.share import default_model
try:
    Segmenter(default_model(), 'torch:cpu')
except DeviceError as error:
    print(error)
"""
    ran = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True)
    assert ran.stdout == ("device 'torch:cpu' can't be used: the package "
                          f'{missing} is not installed: pip install {missing}; or use cpu\n')


@pytest.mark.skipif(not lacks('torch'), reason='this machine has PyTorch on a GPU')
@pytest.mark.parametrize('device', ['torch', 'torch:1'])
def test_a_missing_gpu_is_told(device: str) -> None:
    with pytest.raises(DeviceError) as caught:
        Segmenter(default_model(), device)
    assert str(caught.value) == (f"device '{device}' can't be used: "
                                 f"{'; '.join(map(str, lacks(device)))}; or use cpu")


def test_a_gpu_that_does_not_run_the_network_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*arguments: object) -> None:
        raise RuntimeError('PTX was compiled\nwith an unsupported toolchain')
    monkeypatch.setattr(pytorch, 'OnGpu', fail)
    with pytest.raises(ModelError, match=r"PyTorch can't run it on torch:1 \(PTX was compiled"):
        pytorch.TorchEngine(Model.load(default_model()), 'torch:1')
