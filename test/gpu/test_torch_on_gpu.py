# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""PyTorch as an engine on an NVIDIA GPU: labels, precisions, sizes, threads, swap, memory."""

from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path
import subprocess
import sys
from threading import Event

import cv2
import numpy as np
import pytest
from segret_ros.files.share import default_model
from segret_ros.inference import Model, Segmenter
from segret_ros.inference.engines import kernels
from segret_ros.inference.engines.devices import lacks
from segret_ros.inference.engines.engine import open_engine
from segret_ros.inference.engines.fused import FusedSegRet
from segret_ros.inference.engines.pytorch import OnGpu, without_tf32
from segret_ros.inference.serving.parity import compare, frames_of
from segret_ros.network import SegRet, VARIANTS
from segret_ros.network.deployed import DeployedSegRet, to_half
import torch
from torch.nn import functional

pytestmark = pytest.mark.skipif(bool(lacks('torch')), reason='needs an NVIDIA GPU')
MODELS = sorted(default_model().parent.glob('*.onnx'))
DEVICES = {'torch': 'float16', 'torch:float32': 'float32'}
SIZES = [(360, 480), (1080, 1920), (271, 481), (1, 1)]
GIBIBYTE = 2 ** 30


@pytest.fixture(scope='module')
def model() -> Model:
    """Load the shipped model."""
    return Model.load(default_model())


def images(model: Model) -> list[np.ndarray]:
    """Return frames of the model in some sizes, (H, W, 3) uint8 RGB."""
    frames = [frame.image_rgb for frame in frames_of(model, len(SIZES))]
    return [cv2.resize(frame, size[::-1]) for frame, size in zip(frames, SIZES)]


def deployed(variant: str) -> DeployedSegRet:
    """Return a network of random weights that are not small."""
    torch.manual_seed(0)
    network = SegRet(variant, 19).eval().requires_grad_(False)
    for parameter in network.parameters():
        parameter.add_(torch.randn_like(parameter), alpha=0.02)
    return DeployedSegRet(network)


@pytest.mark.parametrize('path', MODELS, ids=lambda path: path.stem)
@pytest.mark.parametrize('device', DEVICES)
def test_the_shipped_models_pass_the_parity_check(path: Path, device: str, measured) -> None:
    model = Model.load(path)
    engine = open_engine(model, device)
    parity = compare(engine, frames_of(model), len(model.info.labels), DEVICES[device])
    measured(f'{path.stem}, {device}: labels equal', parity.share_equal, 'of 1')
    assert engine.precision == DEVICES[device] and engine.name.endswith(DEVICES[device])
    assert not parity.problem()


def test_labels_and_confidence_are_those_of_the_cpu(model: Model) -> None:
    exact = Segmenter(model, 'cpu')
    for device, precision in DEVICES.items():
        found = Segmenter(model, device)
        for image in images(model):
            result, expected = found(image), exact(image)
            assert np.mean(result.label == expected.label) >= 0.99 if image.size > 3 else True
            if precision == 'float32':
                assert np.mean(result.label == expected.label) >= 0.999
                assert np.abs(result.confidence.astype(int) - expected.confidence).max() <= 4


@pytest.mark.parametrize('variant', VARIANTS)
def test_each_variant_is_the_network_of_the_cpu_in_both_precisions(variant: str, measured) -> None:
    network = deployed(variant)
    for size in ((100, 141), (64, 65)):
        image = torch.randint(0, 256, (1, *size, 3), dtype=torch.uint8)
        with torch.inference_mode():
            expected = network(image)[0].numpy()
            largest = np.abs(expected).max()
            full = np.abs(OnGpu(network, False, size, 0).logits(image[0].numpy()) - expected)
            half = np.abs(OnGpu(network, True, size, 0).logits(image[0].numpy()) - expected)
        measured(f'{variant} {size[0]}x{size[1]}: largest error in float32', full.max() / largest,
                 'of the largest logit')
        measured(f'{variant} {size[0]}x{size[1]}: largest error in float16', half.max() / largest,
                 'of the largest logit')
        assert full.max() <= 1e-4 * largest
        assert half.max() <= 3e-2 * largest


@pytest.mark.parametrize('axes', ['rows', 'columns', 'grid'])
def test_attention_is_pytorchs_with_the_decay_as_bias(axes: str) -> None:
    grid, heads, dim = (40, 70), 4, 32
    query, key, value = torch.randn(3, grid[0] * grid[1], heads * dim, device='cuda').unbind()
    decay = SegRet('nano', 2).backbone.stages[2].decay.cuda()
    lines = [part.view(*grid, heads, dim) for part in (query, key, value)]
    if axes == 'columns':
        lines = [part.transpose(0, 1) for part in lines]
    if axes == 'grid':
        lines = [part.flatten(0, 1)[None] for part in lines]
    bias = {'rows': lambda: decay.line(70), 'columns': lambda: decay.line(40),
            'grid': lambda: decay.grid(*grid)}[axes]()
    with without_tf32():
        expected = functional.scaled_dot_product_attention(
            *(part.transpose(1, 2) for part in lines), attn_mask=bias[None]).transpose(1, 2)
    if axes == 'columns':
        expected = expected.transpose(0, 1)
    base2 = 1 / np.log(2)
    attended = kernels.attend(query * (dim ** -0.5 * base2), key, value, decay.log_decay * base2,
                              grid, axes)
    torch.testing.assert_close(attended, expected.reshape(attended.shape), rtol=1e-3, atol=1e-4)


def test_four_threads_get_the_labels_of_one(model: Model) -> None:
    segmenter = Segmenter(model, 'torch')
    frames = images(model) * 5
    expected = [segmenter(image).label for image in frames]
    with ThreadPoolExecutor(4) as threads:
        for label, alone in zip(threads.map(lambda image: segmenter(image).label, frames),
                                expected):
            np.testing.assert_array_equal(label, alone)


def test_an_engine_labels_on_while_the_next_is_opened(model: Model) -> None:
    image, old, ended = images(model)[0], Segmenter(model, 'torch'), Event()
    expected = old(image).label

    def label() -> int:
        count = 0
        while not ended.is_set():
            np.testing.assert_array_equal(old(image).label, expected)
            count += 1
        return count

    with ThreadPoolExecutor(1) as thread:
        labelled = thread.submit(label)
        try:
            new = Segmenter(model, 'torch')
        finally:
            ended.set()
        assert labelled.result() > 0
    np.testing.assert_array_equal(new(image).label, expected)


def test_whole_attention_over_many_cells_holds_no_logits(measured) -> None:
    network = FusedSegRet(deployed('tiny'))
    to_half(network)
    network.cuda().to(memory_format=torch.channels_last)
    image = torch.zeros(1, 1024, 2048, 3, dtype=torch.uint8, device='cuda')
    torch.cuda.reset_peak_memory_stats()
    with torch.inference_mode():
        assert network(image).isfinite().all()
    peak = torch.cuda.max_memory_allocated()
    measured('tiny 1024x2048 in float16: peak memory', peak / GIBIBYTE, 'GiB')
    assert peak < 1.5 * GIBIBYTE


@pytest.mark.skipif(not find_spec('rclpy'), reason='needs rclpy')
def test_the_node_labels_a_drive_on_the_gpu(tmp_path: Path) -> None:
    ran = subprocess.run([sys.executable, '-m', 'segret_ros.offline.demo.main', '--device',
                          'torch', '--output', str(tmp_path / 'demo')], capture_output=True,
                         text=True)
    assert ran.returncode == 0, ran.stderr
    assert 'PyTorch' in ran.stdout
