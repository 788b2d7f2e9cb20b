# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""ONNX Runtime on an NVIDIA GPU: the captured graph, its labels and its log."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
import logging
from pathlib import Path
from statistics import median
import time

import cv2
import numpy as np
import pytest
from segret_ros.files.share import default_model
from segret_ros.inference import Model, Segmenter
from segret_ros.inference.engines import cuda as cuda_engine
from segret_ros.inference.engines.bound import BoundEngine
from segret_ros.inference.engines.devices import CUDA, find, lacks
from segret_ros.inference.engines.engine import build_engine, Engine, open_engine
from segret_ros.inference.serving.parity import compare, frames_of

pytestmark = pytest.mark.skipif(bool(lacks('cuda')), reason='needs CUDA and onnxruntime-gpu')
without_tensorrt = pytest.mark.skipif(bool(lacks('tensorrt')), reason='needs TensorRT 10')
SIZES = [(360, 480), (1080, 1920), (271, 481), (360, 480)]


@pytest.fixture(scope='module')
def model() -> Model:
    """Load the shipped model."""
    return Model.load(default_model())


@pytest.fixture(scope='module')
def engine(model: Model) -> Engine:
    """Open it on the first GPU."""
    return open_engine(model, 'cuda')


@pytest.fixture
def records(caplog: pytest.LogCaptureFixture) -> Iterator[list[logging.LogRecord]]:
    """Record what the engine logs, whatever the other tests have set."""
    logger = logging.getLogger(cuda_engine.__name__)
    logger.addHandler(caplog.handler)
    yield caplog.records
    logger.removeHandler(caplog.handler)


def images(model: Model) -> list[np.ndarray]:
    """Return frames of the model in some sizes, (H, W, 3) uint8 RGB."""
    frames = [frame.image_rgb for frame in frames_of(model, len(SIZES))]
    return [cv2.resize(frame, size[::-1]) for frame, size in zip(frames, SIZES)]


def median_ms(work: Callable[[], object]) -> float:
    """Return the time that some work takes."""
    times = []
    for _ in range(50):
        start = time.perf_counter()
        work()
        times.append(1e3 * (time.perf_counter() - start))
    return median(times)


def agrees(engine: Engine, model: Model) -> bool:
    """Return whether an engine passes the parity check."""
    return not compare(engine, frames_of(model), len(model.info.labels), 'float32').problem()


def test_the_network_is_captured_without_noise(
        model: Model, capfd: pytest.CaptureFixture, records: list[logging.LogRecord]) -> None:
    open_engine(model, 'cuda')
    assert [record.getMessage() for record in records] == []  # that there is no graph
    printed = capfd.readouterr()
    assert 'plugin EP' not in printed.out + printed.err


def test_a_replay_computes_what_launched_kernels_compute(model: Model, engine: Engine, measured
                                                         ) -> None:
    network = cuda_engine.open_on_gpu(model.path, cuda_engine.gpu_options(),
                                      cuda_engine.cuda_providers(0), model.content)
    launched = BoundEngine(network, cuda_engine.heads_on_gpu(0), ('cuda', 0))
    for frame in frames_of(model):
        np.testing.assert_allclose(engine.run(frame.image_rgb), launched.run(frame.image_rgb),
                                   atol=0.01)
    measured('cuda: network, launched', median_ms(lambda: launched.run(frame.image_rgb)), 'ms')
    measured('cuda: network, replayed', median_ms(lambda: engine.run(frame.image_rgb)), 'ms')


def test_labels_and_confidence_are_those_of_the_cpu(model: Model, engine: Engine) -> None:
    exact, on_gpu = Segmenter(model, 'cpu'), Segmenter(model, engine=engine)
    for shown in images(model):
        expected, found = exact(shown), on_gpu(shown)
        assert np.mean(found.label == expected.label) >= 0.999
        assert np.abs(found.confidence.astype(int) - expected.confidence).max() <= 4
    assert agrees(engine, model)


def test_four_threads_get_the_labels_of_one(model: Model, engine: Engine) -> None:
    segmenter = Segmenter(model, engine=engine)
    shown = images(model) * 5
    alone = [segmenter(image).label for image in shown]
    with ThreadPoolExecutor(4) as threads:
        for found, expected in zip(threads.map(segmenter, shown), alone):
            assert np.mean(found.label == expected) >= 0.9999


def test_engines_that_come_and_go_leave_another_alone(model: Model, engine: Engine) -> None:
    shown = frames_of(model)[0].image_rgb
    expected = engine.run(shown)
    for _ in range(3):
        other = open_engine(model, 'cuda')
        np.testing.assert_allclose(other.run(shown), expected, atol=0.01)
        np.testing.assert_allclose(engine.run(shown), expected, atol=0.01)
        del other
    np.testing.assert_allclose(engine.run(shown), expected, atol=0.01)


def test_the_wheel_has_code_for_a_gpu_that_runs_it(engine: Engine) -> None:
    found = find(CUDA)
    capability = found.driver.gpus[0].capability
    assert any(code.runs_on(capability) for code in found.code)


@without_tensorrt
def test_tensorrt_takes_the_whole_network(model: Model, tmp_path: Path) -> None:
    build_engine(model, 'tensorrt', None, tmp_path)
    assert agrees(open_engine(model, 'tensorrt', built=tmp_path), model)
