# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""An engine that gets over its failures: what counts as one, and what does not."""

from pathlib import Path

import numpy as np
import pytest
from segret_ros.inference import EngineError, RecoveringEngine, Segmenter
from segret_ros.inference.serving import recovery

IMAGE = np.zeros((64, 96, 3), np.uint8)


def test_a_failing_reader_of_the_label_is_no_failure_of_the_engine(network_file: Path) -> None:
    segmenter = Segmenter(network_file, 'cpu', open_engine=RecoveringEngine)

    def fail(label: np.ndarray) -> None:
        raise OSError('nobody takes it')

    for _ in range(5):
        with pytest.raises(OSError, match='nobody takes it'):
            segmenter(IMAGE, on_label=fail)
    assert (segmenter.engine.state, segmenter.engine.failures) == ('working', 0)


def test_the_engine_is_closed_after_three_failures_and_tells_when_it_opens(
        network_file: Path) -> None:
    engine = RecoveringEngine(network_file, 'cpu')
    logits = engine.run(IMAGE)
    too_small = IMAGE[:-8]
    for number in (1, 2):
        with pytest.raises(EngineError, match=f'{number} of 3 failures in a row'):
            engine.run(too_small)
    np.testing.assert_array_equal(engine.run(IMAGE), logits)  # the row is broken
    for _ in range(2):
        with pytest.raises(EngineError, match='of 3 failures'):
            engine.run(too_small)
    with pytest.raises(EngineError, match='opened anew on cpu after a pause of 1 s'):
        engine.run(too_small)
    with pytest.raises(EngineError, match='^closed: opened anew on cpu'):
        engine.run(IMAGE)
    assert (engine.failures, engine.reopened) == (5, 0)


class Failing:
    """An engine that opens and never runs."""

    name, device, precision, labels_on_device = 'failing', 'openvino', 'float32', False

    def run(self, image_rgb: np.ndarray) -> np.ndarray:
        raise RuntimeError('out of memory')


def test_an_offered_engine_that_never_runs_gives_way_to_the_one_before(
        network_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recovery, 'FIRST_PAUSE_S', 0.0)
    opened = []

    class Opening(RecoveringEngine):

        def _open(self, device: str):
            opened.append(device)
            return super()._open('cpu')

    engine = Opening(network_file, 'openvino')
    logits = engine.run(IMAGE)
    engine.offer(Failing())
    engine.prepare()
    for _ in range(3):
        with pytest.raises(EngineError, match='out of memory'):
            engine.run(IMAGE)
    np.testing.assert_array_equal(engine.run(IMAGE), logits)
    assert opened == ['openvino', 'cpu'] and engine.state == 'working'
