# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Cost over the input's size, with real models of a few cells."""

import json
from pathlib import Path
import subprocess
import sys
from xml.etree import ElementTree

import pytest
from segret_ros.files.output_file import claim_file, PICTURE_MARK, SCALING_MARK
from segret_train.scaling import input_size, main, measurements, run_watched, ScalingError
from segret_train.scaling_chart import axis, chart, marks

SVG = '{http://www.w3.org/2000/svg}'


@pytest.mark.parametrize('megapixels, expected', [
    (0.5, (512, 1024)), (2.1, (1024, 2048)), (8.4, (2048, 4096)), (1e-6, (32, 64))])
def test_sizes_are_twice_as_wide_as_high(megapixels: float, expected: tuple[int, int]) -> None:
    assert input_size(megapixels) == expected


def test_the_command_measures_and_draws(tmp_path: Path) -> None:
    output, numbers = tmp_path / 'scaling.svg', tmp_path / 'scaling.json'
    ran = subprocess.run(
        [sys.executable, '-m', 'segret_train.scaling', '--variant', 'nano', '--device', 'cpu',
         '--megapixels', '0.002', '0.02', '--runs', '1', '--output', output, '--json', numbers],
        capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    claim_file(output, [], PICTURE_MARK)  # to be replaced by the next one
    claim_file(numbers, [], SCALING_MARK)
    rows = json.loads(numbers.read_text())['rows']
    assert [row['input_size'] for row in rows] == [[32, 64], [96, 192]]
    for row in rows:
        assert row['variant'] == 'nano' and row['skipped'] == ''
        assert 0 < row['network_ms'] < row['total_ms']
        assert row['peak_memory_mb'] > 20 and row['engine'] and row['device'] == 'cpu'
    assert ran.stdout.count(' MB') == 2
    root = ElementTree.parse(output).getroot()
    assert len(root.findall(f'{SVG}circle')) == 4  # two sizes, in two panels


def row(variant: str, megapixels: float, skipped: str = '') -> dict:
    """Give a row of known numbers."""
    height, width = input_size(megapixels)
    return {'variant': variant, 'input_size': [height, width], 'skipped': skipped,
            'megapixels': height * width / 1e6, 'network_ms': 100 * megapixels,
            'peak_memory_mb': 200.0, 'engine': 'engine 1', 'device': 'cpu',
            'machine': {'cpu': 'some', 'cores': 2, 'platform': 'Linux'}}


def test_the_chart_says_what_was_skipped() -> None:
    rows = [row('nano', 0.5), row('nano', 2.1), row('tiny', 0.5),
            row('tiny', 2.1, 'takes more than 8 GB of memory'),
            row('tiny', 8.4, 'smaller ones were: takes more than 8 GB of memory')]
    root = ElementTree.fromstring(str(chart(rows)))
    written = [element.text for element in root.iter(f'{SVG}text')]
    assert 'not measured: tiny at 1024 x 2048: takes more than 8 GB of memory' in written
    assert sum(text.startswith('not measured') for text in written) == 1
    assert {'nano', 'tiny', '0.5', '5', '200'} <= set(written)
    assert len(root.findall(f'{SVG}circle')) == 6


def test_axes_are_logarithmic_from_mark_to_mark() -> None:
    assert marks((0.3, 7)) == [0.2, 0.5, 1, 2, 5, 10]
    assert marks((2, 2)) == [2, 5]
    place = axis([1, 10, 100], 0, 200)
    assert [place(value) for value in (1, 10, 100)] == pytest.approx([0, 100, 200])


def test_after_a_size_that_is_too_large_the_larger_are_skipped(
        monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def measure(variant: str, size: tuple[int, int], *_) -> dict:
        asked.append((variant, size[0]))
        if variant == 'tiny' and size[0] >= 64:
            raise ScalingError('takes more than 1 GB of memory')
        return {'network_ms': 1.0}

    monkeypatch.setattr('segret_train.scaling.measure', measure)
    sizes = [(32, 64), (64, 128), (96, 192)]
    rows = list(measurements(['nano', 'tiny'], sizes, 'cpu', 1, 1e3))
    assert asked == [('nano', 32), ('nano', 64), ('nano', 96), ('tiny', 32), ('tiny', 64)]
    assert [row['skipped'] for row in rows][4:] == [
        'takes more than 1 GB of memory', 'smaller ones were: takes more than 1 GB of memory']


def test_a_process_above_the_bound_is_killed() -> None:
    greedy = 'import time; held = bytearray(300_000_000); time.sleep(60)'
    with pytest.raises(ScalingError, match='takes more than 0.1 GB of memory'):
        run_watched([sys.executable, '-c', greedy], bound_mb=100)


def test_a_process_that_fails_is_told_by_its_last_line() -> None:
    with pytest.raises(ScalingError, match='exit code 3: no memory left'):
        run_watched([sys.executable, '-c', 'import sys; print("no memory left", file=sys.stderr); '
                     'sys.exit(3)'], bound_mb=1e6)


def test_when_the_first_fails_so_does_the_command(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    def write_nothing(*_) -> None:  # so that segret_bench finds no model file
        pass

    monkeypatch.setattr('segret_train.scaling.write_random_model', write_nothing)
    monkeypatch.setattr(sys, 'argv', ['scaling', '--output', str(tmp_path / 'x.svg')])
    assert main() == 1
    assert 'segret_nano.onnx: no such model file' in capsys.readouterr().err.splitlines()[-1]
    assert not (tmp_path / 'x.svg').exists()


@pytest.mark.parametrize('megapixels', [['0.5'], ['0.5', '-1'], ['0.5', '0.5001']])
def test_one_size_is_no_curve(megapixels: list[str], tmp_path: Path, capsys,
                              monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, 'argv', ['scaling', '--output', str(tmp_path / 'x.svg'),
                                      '--megapixels', *megapixels])
    assert main() == 1
    assert 'give at least two different sizes above 0' in capsys.readouterr().err
