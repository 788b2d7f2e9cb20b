# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""The cloud beside the labels: order, size and stamps, each fault reported with its rule."""

from collections.abc import Callable
from pathlib import Path
import sys

from label_bags import (
    CLOUD,
    cloud,
    Drive,
    FIRST_NS,
    FRAMES,
    HEIGHT,
    IMAGE,
    LABEL,
    PERIOD_NS,
    POINT_STEP,
    sound_drive,
    WIDTH,
)
import numpy as np
import pytest
from rosbags.rosbag2 import StoragePlugin
from segret_ros.offline.contract import main
from segret_ros.offline.contract.observation import Finding, observe_bag
from segret_ros.offline.contract.rules import check

NS_PER_MS = 1_000_000
ROW_STEP = POINT_STEP * WIDTH


def clouds(shift_ns: int = 0, **values: object) -> dict[str, list]:
    """Return a cloud an image, whose stamps are shifted, by their topic."""
    return {CLOUD: [cloud(FIRST_NS + number * PERIOD_NS + shift_ns, **values)
                    for number in range(FRAMES)]}


def drive_with_clouds(shift_ns: int = 0) -> Drive:
    drive = sound_drive()
    drive.messages |= clouds(shift_ns)
    return drive


def findings(drive: Drive, path: Path, plugin: StoragePlugin = StoragePlugin.MCAP,
             topic: str = CLOUD) -> list[Finding]:
    """Return what is found of the cloud in a drive's bag."""
    bag = drive.write(path / 'bag', plugin)
    known = check(observe_bag(bag, LABEL), 'nav2')
    found = check(observe_bag(bag, LABEL, cloud=topic), 'nav2')
    assert found[:len(known)] == known
    return found[len(known):]


@pytest.mark.parametrize('topic', [CLOUD, 'points'])
@pytest.mark.parametrize('plugin', list(StoragePlugin))
def test_a_sound_cloud_is_ok(tmp_path: Path, plugin: StoragePlugin, topic: str) -> None:
    points, stamps = findings(drive_with_clouds(), tmp_path, plugin, topic)
    assert points == Finding('ok', CLOUD, f'{FRAMES} messages, organised, 12 x 16 points, x, y '
                                          'and z of float32, stamps increase')
    assert (stamps.level, stamps.topic) == ('ok', LABEL)
    assert f'{FRAMES} of {FRAMES} messages have the stamp of a cloud on {CLOUD}' in stamps.text


def pad(drive: Drive) -> None:
    drive.change(CLOUD, 1)(row_step=ROW_STEP + 4,
                           data=np.zeros(HEIGHT * (ROW_STEP + 4), np.uint8))


def unordered(drive: Drive) -> None:
    clouds = drive.messages[CLOUD]
    clouds[2], clouds[3] = clouds[3], clouds[2]


@pytest.mark.parametrize(('spoil', 'text'), [
    (lambda drive: drive.messages.update(clouds(height=1, width=HEIGHT * WIDTH)),
     'is not organised: 192 points in one row, and the labels are 12 x 16. The layer finds'),
    (lambda drive: drive.messages.update(clouds(height=HEIGHT // 2, width=WIDTH // 2)),
     '6 x 8 points, but 12 x 16 labels: the layer finds the point of a pixel by its number'),
    (lambda drive: drive.messages.update(clouds(height=WIDTH, width=HEIGHT)),
     '16 x 12 points, but 12 x 16 labels'),
    (lambda drive: drive.messages.update(clouds(axes='xy')), "no field 'z' of float32"),
    (pad, 'row_step is 260 for rows of 16 points of 16 bytes: padding is read as points'),
    (lambda drive: drive.change(CLOUD, 2)(data=np.zeros(100, np.uint8)),
     '100 bytes for 12 x 16 points: publish height x row_step bytes'),
    (unordered, 'stamps must increase, so let one node publish the topic'),
])
def test_a_spoilt_cloud_is_the_one_error(tmp_path: Path, spoil: Callable[[Drive], None],
                                         text: str) -> None:
    drive = drive_with_clouds()
    spoil(drive)
    found = findings(drive, tmp_path)
    assert [finding.level for finding in found] == ['error', 'ok']
    assert found[0].topic == CLOUD and text in found[0].text


@pytest.mark.parametrize(('shift_ns', 'length'), [
    (1, '1 ns'), (-4 * NS_PER_MS, '4.0 ms'), (30 * NS_PER_MS, '30.0 ms')])
def test_stamps_beside_the_labels_pair_by_approximate_time_alone(
        tmp_path: Path, shift_ns: int, length: str) -> None:
    points, stamps = findings(drive_with_clouds(shift_ns), tmp_path)
    assert points.level == 'ok'
    assert (stamps.level, stamps.topic) == ('warning', LABEL)
    for part in (f'have no cloud of equal stamp on {CLOUD}, but one within 100 ms', length,
                 'the default of Jazzy and later', 'never by exact time (Humble',
                 'use_rgb_timestamp'):
        assert part in stamps.text


@pytest.mark.parametrize(('shift_ns', 'level'), [
    (100 * NS_PER_MS, 'warning'), (100 * NS_PER_MS + 1, 'error'), (3600 * 10**9, 'error')])
def test_beyond_100_ms_nothing_pairs(tmp_path: Path, shift_ns: int, level: str) -> None:
    """With the last cloud alone, so that no other image's is nearer."""
    drive = sound_drive()
    last_ns = FIRST_NS + (FRAMES - 1) * PERIOD_NS
    drive.messages[CLOUD] = [cloud(last_ns + shift_ns)]
    stamps = findings(drive, tmp_path)[-1]
    assert (stamps.level, stamps.topic) == (level, LABEL)


def test_a_lost_cloud_is_a_warning(tmp_path: Path) -> None:
    drive = drive_with_clouds()
    del drive.messages[CLOUD][2]
    points, exact, near = findings(drive, tmp_path)
    assert [finding.level for finding in (points, exact, near)] == ['ok', 'ok', 'warning']
    assert exact.text.startswith(f'{FRAMES - 1} of {FRAMES} messages have the stamp of a cloud')
    assert near.text.startswith(f'1 of {FRAMES} messages have no cloud of equal stamp')
    assert near.text.endswith('see where clouds are lost')


def test_labels_before_the_first_cloud_and_after_the_last_are_left_out(tmp_path: Path) -> None:
    drive = drive_with_clouds()
    drive.messages[CLOUD] = drive.messages[CLOUD][1:-1]
    assert [finding.level for finding in findings(drive, tmp_path)] == ['ok', 'ok']


def test_a_cloud_in_another_frame_is_a_warning(tmp_path: Path) -> None:
    """Two cameras of one size: RealSense orders its cloud by the depth camera's pixels."""
    drive = drive_with_clouds()
    for message in drive.messages[CLOUD]:
        message.header.frame_id = 'depth_camera'
    points, frames, stamps = findings(drive, tmp_path)
    assert (points.level, stamps.level) == ('ok', 'ok')
    assert (frames.level, frames.topic) == ('warning', CLOUD)
    assert "is in frame 'depth_camera', the labels in 'camera'" in frames.text


def test_the_existing_clouds_are_listed(tmp_path: Path) -> None:
    found, = findings(drive_with_clouds(), tmp_path, topic='/front/depth/points')
    assert (found.level, found.topic) == ('error', '/front/depth/points')
    assert f'name one of {CLOUD} with --cloud-topic' in found.text


def test_a_topic_of_another_type_is_an_error(tmp_path: Path) -> None:
    found, = findings(drive_with_clouds(), tmp_path, topic=IMAGE)
    assert (found.level, found.topic) == ('error', IMAGE)
    assert 'is of type sensor_msgs/msg/Image: the layer takes sensor_msgs/msg/Poi' in found.text


@pytest.mark.parametrize(('words', 'code'), [
    ([], 0), (['--prefix', 'front'], 0), (['--cloud-topic', '/points'], 2)])
def test_the_command_takes_the_cloud(tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
                                     capsys: pytest.CaptureFixture, words: list[str],
                                     code: int) -> None:
    """Also beside the only label topic of a bag, with a name that is relative to it."""
    bag = drive_with_clouds().write(tmp_path / 'bag')
    monkeypatch.setattr(sys, 'argv', ['segret_check_contract', '--bag', str(bag),
                                      '--cloud-topic', 'points', *words])
    assert main.main() == code
    lines = capsys.readouterr().out.splitlines()
    assert any(line.split()[:2] == ['ok', CLOUD] for line in lines) == (code == 0)


def test_a_cloud_is_not_asked_for_without_nav2(monkeypatch: pytest.MonkeyPatch,
                                               capsys: pytest.CaptureFixture) -> None:
    monkeypatch.setattr(sys, 'argv', ['segret_check_contract', '--consumer', 'mono8',
                                      '--cloud-topic', '/points'])
    assert main.main() == 1
    line, = capsys.readouterr().err.splitlines()
    assert '--consumer mono8 reads no cloud: leave out --cloud-topic' in line
