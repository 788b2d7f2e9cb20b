# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""The training benchmark, with runs of two steps."""

import json
from pathlib import Path
import sys

import pytest
import training_speed
from training_speed import MeasurementError, ROOT, run_apart, SMALL, tables

FEW = (*SMALL, '--crop', '[32,32]', '--workers', '0')


def test_a_measurement_is_compared_with_an_earlier_one(
        camvid_tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture) -> None:
    monkeypatch.setattr(training_speed, 'CASES', {'small': FEW})
    earlier = tmp_path / 'earlier.json'
    command = ['training_speed', '--data', str(camvid_tree), '--device', 'cpu', '--steps', '2']
    monkeypatch.setattr(sys, 'argv', [*command, '--json', str(earlier)])
    training_speed.main()
    measured = json.loads(earlier.read_text())['cases']['small']
    assert len(measured['losses']) == 1 and measured['losses'][0] > 0
    assert measured['images_per_second'] > 0 and measured['peak_memory_mb'] > 100
    assert 0 < measured['first_step_s'] < 600
    monkeypatch.setattr(sys, 'argv', [*command, '--against', str(earlier)])
    capsys.readouterr()
    training_speed.main()
    assert capsys.readouterr().out.count('small ') == 3


def test_a_checkout_that_fails_is_named_with_its_error(tmp_path: Path) -> None:
    with pytest.raises(MeasurementError, match=f'segret_train of {ROOT} failed: .*{tmp_path}'):
        run_apart(ROOT, (*FEW, '--data', str(tmp_path)), 'cpu', steps=1)


def test_ratios_are_the_others_over_this() -> None:
    numbers = {'images_per_second': 600.0, 'first_step_s': 10.0, 'peak_memory_mb': 1000.0}
    slower = {**numbers, 'images_per_second': 60.0}
    lines = [line.split() for line in tables([{'a': numbers}, {'a': slower}]).splitlines()]
    assert lines[0] == ['images/s', 'this', 'other', 'other', '/', 'this']
    assert lines[1] == ['a', '600.0', '60.0', '0.10']
