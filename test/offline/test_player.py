# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""What the player counts, its time, and the command line of its node."""

import math
from pathlib import Path
import subprocess
import sys
import time

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
import numpy as np
import pytest
from segret_ros.offline.bags import BagError, serialize, serialized_stamp_ns, stamp_ns, TYPESTORE
from segret_ros.offline.bags.cameras import CAMERA_INFO, COMPRESSED_IMAGE, find_cameras, IMAGE
from segret_ros.offline.node_process import node_arguments, node_process, NodeError
from segret_ros.offline.player import CameraLog, DriveClock, rate_hz, why_unlabelled

TIMEOUT_S = 600
Header = TYPESTORE.types['std_msgs/msg/Header']
Time = TYPESTORE.types['builtin_interfaces/msg/Time']


def test_an_image_is_answered_or_dropped() -> None:
    log = CameraLog()
    for stamp in (10_000_000, 20_000_000, 30_000_000):
        log.note_image(stamp, late_ns=2_000_000, sent_s=5.0 + stamp / 1e9)
    log.note_label(20_000_000, now_ns=65_000_000, arrived_s=5.065)
    log.note_label(10_000_000, now_ns=70_000_000, arrived_s=5.07)  # the node never goes back
    log.note_label(99_000_000, now_ns=99_000_000, arrived_s=5.099)  # another player's
    assert log.frames == 3 and log.late_ms == [2, 2, 2]
    (answer,) = log.answers
    assert answer.age_ms == 45
    assert answer.latency_ms == pytest.approx(45)
    assert rate_hz([log]) == pytest.approx(1 / 0.045)


def test_images_of_one_stamp_are_answered_each() -> None:
    log = CameraLog()
    for sent_s in (1.0, 2.0):
        log.note_image(5, late_ns=0, sent_s=sent_s)
    for _ in range(3):
        log.note_label(5, now_ns=5, arrived_s=3.0)
    assert log.frames == len(log.answers) == 2
    assert math.isnan(log.answers[0].latency_ms)  # two were waiting: nothing tells which it is
    assert log.answers[1].latency_ms == 1000


def test_a_stamp_of_zero_has_no_age() -> None:
    log = CameraLog()
    log.note_image(0, late_ns=0, sent_s=1.0)
    log.note_label(0, now_ns=5, arrived_s=1.5)
    (answer,) = log.answers
    assert math.isnan(answer.age_ms) and answer.latency_ms == 500
    assert rate_hz([log]) == 2


def test_images_without_a_label_are_counted_by_problem() -> None:
    log = CameraLog()
    for number in range(3):
        log.note_rejected(f'not a readable image: {number} bytes')
    log.note_rejected('too large an image')
    assert log.rejected == {'not a readable image': 3, 'too large an image': 1}
    assert log.reasons['not a readable image'] == 'not a readable image: 0 bytes'


def test_an_image_is_done_with_its_label_and_status_in_any_order() -> None:
    log = CameraLog()
    for first, second in (('label', 'status'), ('status', 'label')):
        log.note_image(5, late_ns=0, sent_s=1.0)
        log.note_output(first, 5, is_labelled=True)
        log.note_output(second, 4, is_labelled=True)  # of an earlier image
        assert log.missing == {second}
        log.note_output(second, 5, is_labelled=True)
        assert not log.missing
    log.note_image(5, late_ns=0, sent_s=1.0)
    log.note_output('status', 5, is_labelled=False)
    assert not log.missing


def test_the_status_says_why_there_is_no_label() -> None:
    labelled, given_up = (
        DiagnosticArray(status=[DiagnosticStatus(message='reason', values=[
            KeyValue(key=key, value='1') for key in keys])])
        for keys in (['age_ms', 'processing_time_ms'], ['age_ms']))
    assert why_unlabelled(labelled) is None
    assert why_unlabelled(given_up) == 'reason'


def test_the_drives_time_jumps_to_the_end_of_a_pause() -> None:
    clock = DriveClock(1000)
    clock.run_to(10**16)
    clock.jump_to(10**15)
    assert 10**15 <= clock.now_ns() < 10**16


def test_the_drives_time_passes_to_its_limit() -> None:
    clock = DriveClock(1000)
    assert clock.now_ns() == 1000
    clock.run_to(50_000)
    assert 1000 <= clock.now_ns() <= 50_000
    while clock.now_ns() < 50_000:
        pass
    assert clock.now_ns() == 50_000
    clock.run_to(10**15)
    assert 50_000 <= clock.now_ns() < 10**15


def test_the_stamp_is_read_from_the_serialised_message() -> None:
    header = Header(Time(1_700_000_000, 999_999_999), 'camera')
    message = TYPESTORE.types[COMPRESSED_IMAGE](header, 'png', np.zeros(3, np.uint8))
    recorded = serialize('/a', 1, message)
    assert serialized_stamp_ns(recorded.data) == stamp_ns(header)
    big_endian = bytes(TYPESTORE.serialize_cdr(message, COMPRESSED_IMAGE, little_endian=False))
    assert serialized_stamp_ns(big_endian) == stamp_ns(header)


def test_the_node_gets_the_bags_topics() -> None:
    cameras = find_cameras({'/front/image_raw': IMAGE, '/front/camera_info': CAMERA_INFO,
                            '/image': IMAGE, '/_2d/image': IMAGE}, [])
    arguments = node_arguments(Path('/m.onnx'), '0', cameras, 0.5)
    pairs = list(zip(arguments[1::2], arguments[2::2]))
    assert arguments[0] == '--ros-args'
    assert dict(pair[1].split(':=') for pair in pairs if pair[0] == '-p') == {
        'model': '"/m.onnx"', 'device': '"0"', 'use_sim_time': 'true', 'min_confidence': '0.5',
        'cameras': '["_2d", "front", ""]', 'image_transport': '"raw"'}
    assert [pair[1] for pair in pairs if pair[0] == '-r'] == [
        '/_2d/image:=/_2d/image', '/front/image:=/front/image_raw',
        '/front/camera_info:=/front/camera_info', '/image:=/image']


def test_raw_and_compressed_cameras_are_not_mixed() -> None:
    cameras = find_cameras({'/a/image': IMAGE, '/b/image/compressed': COMPRESSED_IMAGE}, [])
    with pytest.raises(BagError, match='/b/image/compressed are compressed images and /a/image'):
        node_arguments(Path('m.onnx'), 'auto', cameras)
    compressed = node_arguments(Path('m.onnx'), 'auto', cameras[1:])
    assert 'image_transport:="compressed"' in compressed
    assert '/b/image/compressed:=/b/image/compressed' in compressed


def test_a_node_that_ends_is_an_error_that_names_its_log(tmp_path: Path) -> None:
    log = tmp_path / 'node.log'
    with pytest.raises(NodeError, match=f'ended with exit code 1: read {log}'), \
            node_process(['--wrong'], log) as node:
        node.process.wait(TIMEOUT_S)
        node.check()
    assert '--wrong' in log.read_text()


def test_a_node_ends_with_the_process_that_started_it(tmp_path: Path) -> None:
    code = f"""
import os, pathlib, signal
from segret_ros.offline.node_process import node_process
with node_process([], pathlib.Path({str(tmp_path / 'node.log')!r})) as node:
    print(node.process.pid, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""
    killed = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True,
                            timeout=TIMEOUT_S)
    status = Path(f'/proc/{killed.stdout.strip()}/stat')
    end = time.monotonic() + TIMEOUT_S
    while status.exists() and ') Z ' not in status.read_text():
        assert time.monotonic() < end, 'the node goes on'
        time.sleep(0.02)
