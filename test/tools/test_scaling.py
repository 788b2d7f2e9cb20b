# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""The time and memory over the input size of docs/performance.md, with models of a few cells."""

import json
from pathlib import Path
import subprocess
import sys

import pytest

pytest.importorskip('matplotlib')

import scaling  # noqa: E402
from scaling import input_size, measurements, run_limited, ScalingError  # noqa: E402


@pytest.mark.parametrize('megapixels, expected', [
    (0.5, (512, 1024)), (2.1, (1024, 2048)), (8.4, (2048, 4096)), (1e-6, (32, 64))])
def test_sizes_are_twice_as_wide_as_high(megapixels: float, expected: tuple[int, int]) -> None:
    assert input_size(megapixels) == expected


def test_the_program_measures_and_plots(tmp_path: Path) -> None:
    output, numbers = tmp_path / 'scaling.svg', tmp_path / 'scaling.json'
    ran = subprocess.run(
        [sys.executable, scaling.__file__, '--variant', 'nano', '--device', 'cpu',
         '--megapixels', '0.002', '0.02', '--runs', '1', '--output', output, '--json', numbers],
        capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    rows = json.loads(numbers.read_text())['rows']
    assert [row['input_size'] for row in rows] == [[32, 64], [96, 192]]
    for row in rows:
        assert row['variant'] == 'nano' and row['skipped'] == ''
        assert 0 < row['network_ms'] < row['total_ms']
        assert row['peak_memory_mb'] > 20 and row['engine'] and row['device'] == 'cpu'
    assert ran.stdout.count(' MB') == 2
    assert '<svg' in output.read_text()


def test_once_a_size_is_too_large_larger_ones_are_skipped(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def measure(variant: str, size: tuple[int, int], *_) -> dict:
        asked.append((variant, size[0]))
        if variant == 'tiny' and size[0] >= 64:
            raise ScalingError('takes more than 1 GB of memory')
        return {'network_ms': 1.0}

    monkeypatch.setattr(scaling, 'measure', measure)
    sizes = [(32, 64), (64, 128), (96, 192)]
    rows = list(measurements(['nano', 'tiny'], sizes, 'cpu', 1, 1e3))
    assert asked == [('nano', 32), ('nano', 64), ('nano', 96), ('tiny', 32), ('tiny', 64)]
    assert [row['skipped'] for row in rows][4:] == [
        'takes more than 1 GB of memory', 'smaller ones were: takes more than 1 GB of memory']


def test_a_process_above_the_limit_is_killed() -> None:
    greedy = 'import time; held = bytearray(300_000_000); time.sleep(60)'
    with pytest.raises(ScalingError, match='takes more than 0.1 GB of memory'):
        run_limited([sys.executable, '-c', greedy], limit_mb=100)


def test_a_process_that_fails_is_reported_with_its_last_line() -> None:
    with pytest.raises(ScalingError, match='exit code 3: no memory left'):
        run_limited([sys.executable, '-c', 'import sys; print("no memory left", file=sys.stderr); '
                     'sys.exit(3)'], limit_mb=1e6)
