# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""The node labels on one engine while another is built, and goes over to it between two frames."""

from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
import re

from diagnostic_msgs.msg import DiagnosticArray
from live_node import (
    Diagnostics,
    NodeProcess,
    Peer,
    pixels_of,
    running_node,
    STREET,
    street_image,
    values_of,
)
import numpy as np
import pytest
from segret_ros.inference import Segmenter
from segret_ros.inference.serving.cache import EngineCache
from sensor_msgs.msg import Image

pytest.importorskip('openvino', reason='needs openvino, an extra')

PROGRAM = str(Path(__file__).with_name('slow_build_node.py'))
FRAMES = 20  # of each engine, at least


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> EngineCache:
    """Return the empty cache of the nodes that a test starts."""
    monkeypatch.setenv('SEGRET_ENGINE_CACHE', str(tmp_path / 'engines'))
    return EngineCache()


@pytest.fixture
def gate(tmp_path: Path) -> Path:
    """Return the file that the build of an OpenVINO engine waits for."""
    return tmp_path / 'gate'


@pytest.fixture
def node(model_file: Path, tmp_path: Path, cache: EngineCache,
         gate: Path) -> Iterator[NodeProcess]:
    """Run a node whose OpenVINO engine is built when the gate is there."""
    with running_node(tmp_path, (PROGRAM, str(gate)), model=str(model_file),
                      device='openvino', frozen_frames=0) as node:
        yield node


def test_no_frame_is_lost_and_no_stamp_repeated_while_engines_change(
        peer: Peer, node: NodeProcess, cache: EngineCache, model_file: Path,
        gate: Path) -> None:
    label, status = (peer.listen(kind, f'/segmentation/{output}')
                     for kind, output in ((Image, 'label'), (DiagnosticArray, 'status')))
    reports = peer.listen(DiagnosticArray, '/diagnostics')
    camera = peer.advertise(Image, '/image')
    peer.connect(camera, street_image, label, status)
    label.clear(), status.clear(), reports.clear()

    sent, devices = [], []

    def served(device: str) -> bool:
        sent.append(street_image())
        _, answer = peer.ask(camera, sent[-1], label, status)
        devices.append(values_of(answer.status[0])['device'])
        return devices.count(device) >= FRAMES

    def told() -> list[str]:
        return [status.message for report in reports for status in report.status
                if status.name == '/segret: node']

    def seconds() -> list[int]:
        return [int(match[1]) for message in told() if (match := re.fullmatch(
            r'active on cpu, while an engine is built for openvino: building for (\d+) s',
            message))]

    peer.wait_for(lambda: served('cpu') and len(set(seconds())) > 1, 'frames of the first engine')
    gate.touch()
    peer.wait_for(lambda: served('openvino'), 'frames of the built engine')
    stamps = [message.header.stamp for message in sent]
    assert [message.header.stamp for message in label] == stamps
    assert [message.header.stamp for message in status] == stamps
    assert [device for device, _ in groupby(devices)] == ['cpu', 'openvino']
    peer.wait_for(lambda: told()[-1] == 'active', 'the end of the story')
    assert seconds() == sorted(seconds())
    kept = {entry.key.device: entry.parity for entry in cache.entries()}
    assert set(kept) == {'cpu', 'openvino'}
    assert not any(parity.problem() for parity in kept.values())
    expected = {device: Segmenter(model_file, device)(STREET).label for device in kept}
    for device, message in zip(devices, label):
        assert np.mean(pixels_of(message) == expected[device]) >= 0.999, device


def test_a_build_that_fails_leaves_the_other_engine_at_work(
        peer: Peer, diagnostics: Diagnostics, model_file: Path, tmp_path: Path,
        cache: EngineCache, gate: Path) -> None:
    label = peer.listen(Image, '/segmentation/label')
    camera = peer.advertise(Image, '/image')
    with running_node(tmp_path, (PROGRAM, str(gate)), model=str(model_file), device='openvino',
                      frozen_frames=0) as node:
        peer.connect(camera, street_image, label)
        (tmp_path / 'failing').write_text('it fails')
        (tmp_path / 'failing').rename(gate)
        report = diagnostics.wait_for('node', lambda values: values['level'] == 'warn')
    assert report['message'].startswith('active on cpu, for the engine for openvino is not used')
    log = node.log()  # all that comes from the library has the node's prefix
    for level, text in (('WARN', 'the engine for openvino takes long to build'),
                        ('ERROR', 'the engine for openvino is not used')):
        assert re.search(rf'^\[{level}\] \[[\d.]+\] \[segret\]: {text}', log, re.MULTILINE)
        assert log.count(text) == 1
    assert 'the process that built it ended with 1' in report['message']


def test_an_engine_with_wrong_labels_is_refused(peer: Peer, diagnostics: Diagnostics,
                                                wrong_model: Path, tmp_path: Path,
                                                cache: EngineCache) -> None:
    for _ in range(2):  # built the first time, found the second
        with running_node(tmp_path, model=str(wrong_model), device='openvino') as node:
            report = diagnostics.wait_for('node', lambda values: values['level'] == 'error')
        assert report['message'].startswith('not configured: ')
        assert "of the labels are the float32 network's" in report['message']
        assert 'allow_unproven_engine' in report['message']
        assert 'allow_unproven_engine' in node.log()


def test_it_is_used_if_the_user_says_so(peer: Peer, diagnostics: Diagnostics, wrong_model: Path,
                                        tmp_path: Path, cache: EngineCache) -> None:
    with running_node(tmp_path, model=str(wrong_model), device='openvino',
                      allow_unproven_engine=True) as node:
        report = diagnostics.wait_for('node', lambda values: values['message'] == 'active')
    assert report['device'] == 'openvino'
    assert "of the labels are the float32 network's" in node.log()
