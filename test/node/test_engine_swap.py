"""The node labels on one engine while another is built, and goes over to it between two frames."""

from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
import re

from diagnostic_msgs.msg import DiagnosticArray
from node_process import (
    Diagnostics, image_message, NodeProcess, Peer, pixels_of, running_node, street)
import numpy as np
import pytest
from segret_ros.engine_cache.cache import EngineCache
from segret_ros.inference import Segmenter
from sensor_msgs.msg import Image

pytest.importorskip('openvino', reason='needs openvino, an extra')

PROGRAM = str(Path(__file__).with_name('slow_build_node.py'))
PICTURE = street(45, 61)
BUILD_S = 6.0
PERIOD_S = 1 / 15
FRAMES = 210  # 14 s: some of them before, some after the build


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> EngineCache:
    """Give the empty cache of the nodes that a test starts."""
    monkeypatch.setenv('SEGRET_ENGINE_CACHE', str(tmp_path / 'engines'))
    return EngineCache()


@pytest.fixture
def node(model_file: Path, tmp_path: Path, cache: EngineCache) -> Iterator[NodeProcess]:
    """Run a node whose OpenVINO engine takes `BUILD_S` to build."""
    with running_node(tmp_path, (PROGRAM, str(BUILD_S)), model=str(model_file),
                      device='openvino', frozen_frames=0) as node:
        yield node


def value_of(message: DiagnosticArray, key: str) -> str:
    return next(item.value for item in message.status[0].values if item.key == key)


def test_no_frame_is_lost_and_no_stamp_repeated_while_engines_change(
        peer: Peer, node: NodeProcess, cache: EngineCache, model_file: Path) -> None:
    label, status = (peer.listen(kind, f'/segmentation/{output}')
                     for kind, output in ((Image, 'label'), (DiagnosticArray, 'status')))
    reports = peer.listen(DiagnosticArray, '/diagnostics')
    camera = peer.advertise(Image, '/image')
    peer.connect(camera, lambda: image_message(PICTURE, 'rgb8'), label, status)
    peer.spin(0.5)
    label.clear(), status.clear(), reports.clear()

    sent = []
    for _ in range(FRAMES):
        sent.append(image_message(PICTURE, 'rgb8'))
        camera.publish(sent[-1])
        peer.spin(PERIOD_S)
    stamps = [message.header.stamp for message in sent]
    peer.wait_for(lambda: len(status) >= FRAMES, 'the last status')
    assert [message.header.stamp for message in label] == stamps
    assert [message.header.stamp for message in status] == stamps

    devices = [value_of(message, 'device') for message in status]
    assert [device for device, _ in groupby(devices)] == ['cpu', 'openvino']
    told = [status.message for report in reports for status in report.status
            if status.name == '/segret: node']
    seconds = [int(match[1]) for message in told if (match := re.fullmatch(
        r'active on cpu, while an engine is built for openvino: building for (\d+) s', message))]
    assert len(set(seconds)) > 1 and seconds == sorted(seconds)
    assert told[-1] == 'active'
    kept = {entry.key.device: entry.parity for entry in cache.entries()}
    assert set(kept) == {'cpu', 'openvino'}
    assert not any(parity.problem() for parity in kept.values())
    expected = {device: Segmenter(model_file, device)(PICTURE).label for device in kept}
    for device, message in zip(devices, label):
        assert np.mean(pixels_of(message) == expected[device]) >= 0.999, device


def test_a_build_that_fails_leaves_the_other_engine_at_work(
        peer: Peer, diagnostics: Diagnostics, model_file: Path, tmp_path: Path,
        cache: EngineCache) -> None:
    label = peer.listen(Image, '/segmentation/label')
    camera = peer.advertise(Image, '/image')
    with running_node(tmp_path, (PROGRAM, '-2'), model=str(model_file), device='openvino',
                      frozen_frames=0):
        peer.connect(camera, lambda: image_message(PICTURE, 'rgb8'), label)
        report = diagnostics.wait_for('node', lambda values: values['level'] == 'warn')
    assert report['message'].startswith('active on cpu, for the engine for openvino is not used')
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
