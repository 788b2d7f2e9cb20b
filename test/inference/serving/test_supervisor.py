# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Recovery from failures: what counts as one, and what does not."""

from pathlib import Path
import shutil

import numpy as np
import pytest
from segret_ros.inference import Model, Segmenter
from segret_ros.inference.engines.engine import open_engine
from segret_ros.inference.engines.prediction import Prediction
from segret_ros.inference.serving import supervisor as module
from segret_ros.inference.serving.cache import EngineCache
from segret_ros.inference.serving.supervisor import EngineError, Health, Supervisor
from segret_ros.inference.serving.validated import open_validated_engine

IMAGE = np.zeros((64, 96, 3), np.uint8)


@pytest.fixture(scope='session')
def model(network_file: Path) -> Model:
    return Model.load(network_file)


@pytest.fixture
def supervisor(model: Model, tmp_path: Path) -> Supervisor:
    return Supervisor(model, 'cpu', cache=EngineCache(tmp_path / 'engines'))


@pytest.mark.parametrize('device', ['cpu', 'openvino', 'torch:cpu'])
def test_a_file_is_read_once(network_file: Path, tmp_path: Path, device: str) -> None:
    path = Path(shutil.copy(network_file, tmp_path))
    model = Model.load(path)
    path.unlink()
    engine = open_validated_engine(model, device, cache=EngineCache(tmp_path / 'engines'))
    assert engine.device == device and engine.run(IMAGE).shape[0] == len(model.info.labels)
    assert Supervisor(model, device, cache=EngineCache(tmp_path / 'engines')).device == device


def test_a_failing_reader_of_the_label_is_no_failure_of_the_engine(
        model: Model, supervisor: Supervisor) -> None:
    segmenter = Segmenter(model, engine=supervisor)

    def fail(label: np.ndarray) -> None:
        raise OSError('nobody takes it')

    for _ in range(5):
        with pytest.raises(OSError, match='nobody takes it'):
            segmenter(IMAGE, on_label=fail)
    assert (supervisor.status.health, supervisor.status.failures) == (Health.WORKING, 0)


def test_the_engine_is_closed_after_three_failures_and_says_when_it_opens(
        supervisor: Supervisor) -> None:
    logits = supervisor.run(IMAGE)
    too_small = IMAGE[:-8]
    for number in (1, 2):
        with pytest.raises(EngineError, match=f'{number} of 3 failures in a row'):
            supervisor.run(too_small)
    assert supervisor.status.health is Health.FAILING
    np.testing.assert_array_equal(supervisor.run(IMAGE), logits)  # the row is broken
    for _ in range(2):
        with pytest.raises(EngineError, match='of 3 failures'):
            supervisor.run(too_small)
    with pytest.raises(EngineError, match='reopened on cpu after a pause of 1 s'):
        supervisor.run(too_small)
    with pytest.raises(EngineError, match='^closed: reopened on cpu'):
        supervisor.run(IMAGE)
    status = supervisor.status
    assert (status.health, status.failures, status.reopened) == (Health.CLOSED, 5, 0)


class Failing:
    """An engine that opens and never runs."""

    name, device, precision = 'failing', 'cuda', 'float32'

    def run(self, image_rgb: np.ndarray) -> np.ndarray:
        raise RuntimeError('out of memory')

    def predict(self, *arguments: object) -> Prediction:
        raise RuntimeError('out of memory')


def test_a_built_engine_that_never_runs_gives_way_to_the_one_before(
        model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, 'FIRST_PAUSE_S', 0.0)
    opened = []

    def open_on_cpu(model: Model, device: str, **options: object) -> object:
        opened.append(device)
        return open_engine(model, 'cpu')

    monkeypatch.setattr(module, 'open_validated_engine', open_on_cpu)
    supervisor = Supervisor(model, 'cpu', cache=EngineCache(tmp_path / 'engines'))
    logits = supervisor.run(IMAGE)
    supervisor._built = Failing()
    for _ in range(3):
        with pytest.raises(EngineError, match='out of memory'):
            supervisor.run(IMAGE)
    np.testing.assert_array_equal(supervisor.run(IMAGE), logits)
    assert opened == ['cpu', 'cpu'] and supervisor.status.health is Health.WORKING
