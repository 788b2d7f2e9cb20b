# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Calculated times, against hand counts and published rates."""

from pathlib import Path
import sys
from xml.etree import ElementTree

import pytest
from segret_ros.network import SegRet
from segret_ros.network.variants import Variant
from segret_train import device_speed
from segret_train.device_speed import (
    bound_ms,
    chart,
    Device,
    DEVICES,
    EFFICIENCY,
    expected_ms,
    main,
    traffic,
    Work,
    work,
)

SVG = '{http://www.w3.org/2000/svg}'
ROUND = Device('round', processors=10, clock_ghz=1, float16_products=500, int8_products=None,
               bandwidth_gb=100)  # 10^13 a second in float16
BY_NAME = {device.name: device for device in DEVICES}


# What NVIDIA publishes, without sparsity, in 10^12 a second (sources: docs/jetson.md and
# docs/desktop_gpu.md).
@pytest.mark.parametrize('name, precision, published', [
    ('Jetson Orin Nano 8GB', 'int8', 33), ('Jetson AGX Orin 64GB', 'float32', 5.3),
    ('Jetson AGX Orin 64GB', 'int8', 85), ('Jetson Thor T5000', 'float16', 258.5),
    ('L4', 'float32', 30.3), ('L4', 'float16', 121), ('L4', 'int8', 242),
    ('RTX 4070', 'float32', 29.1), ('RTX 4090', 'float32', 82.6), ('RTX 4090', 'float16', 165)])
def test_rates_are_the_published_ones(name: str, precision: str, published: float) -> None:
    assert BY_NAME[name].tera_operations(precision) == pytest.approx(published, rel=0.02)


def test_the_slower_of_computing_and_moving_counts() -> None:
    computing = Work(products=10**10, weights=10**6, activations=10**6, logits=0)
    assert bound_ms(ROUND, computing, 'float16') == pytest.approx(2.0)  # 2 x 10^10 at 10^13
    moving = Work(products=10**6, weights=10**8, activations=2 * 10**8, logits=10**8)
    assert bound_ms(ROUND, moving, 'float16') == pytest.approx(6.0)  # 6 x 10^8 bytes at 10^11
    assert expected_ms(ROUND, moving, 'float16') == pytest.approx(8.0 / EFFICIENCY)


def test_an_unknown_rate_gives_no_time() -> None:
    task = Work(10**9, 1, 1, 1)
    assert bound_ms(ROUND, task, 'int8') is expected_ms(ROUND, task, 'int8') is None


def test_traffic_of_a_network_counted_by_hand() -> None:
    variant = Variant(
        channels=(2, 2, 2, 2), depths=(1, 0, 0, 1), heads=(1, 1, 1, 2),
        decay_range=(4, 4, 4, 4), ffn_ratios=(3, 3, 3, 3), decomposed=(True, True, True, False),
        layer_scale=(False,) * 4, drop_path=0, decoder_channels=2)
    # 64 x 64: 16 x 16, 8 x 8, 4 x 4 and 2 x 2 cells.
    stem = 3 * 64 * 64 + 32 * 32 * 3 + 256 * 3 * 2
    blocks = 256 * 2 * 28 + 4 * 2 * 24
    downsampling = 2 * (256 + 64) + 2 * (64 + 16) + 2 * (16 + 4)
    levels = (256 + 64 + 16 + 4) * (2 + 3 * 2)
    resizing = (64 + 16 + 4) * 2 + 3 * 2 * 256 * 2
    logits = 4 * (256 * (16 + 16) + 2 * 4 * 4)
    assert traffic(variant, (64, 64), classes=5) == (
        stem + blocks + downsampling + levels + resizing + 256 * (2 + 5), logits)


def test_work_is_that_of_the_network() -> None:
    task = work('nano', (64, 96))
    assert task.weights == sum(weight.numel() for weight in SegRet('nano', 19).parameters())
    four_times = work('nano', (128, 192))
    assert four_times.activations == 4 * task.activations
    assert 4 * task.logits < four_times.logits < 16 * task.logits


def test_the_command_prints_all_and_draws(monkeypatch: pytest.MonkeyPatch, tmp_path: Path,
                                          capsys: pytest.CaptureFixture) -> None:
    output = tmp_path / 'speed.svg'
    monkeypatch.setattr(sys, 'argv', [
        'device_speed', '--variant', 'nano', '--size', '64', '96', '--size', '128', '192',
        '--precision', 'int8', '--output', str(output)])
    assert main() == 0
    lines = capsys.readouterr().out.splitlines()
    assert 'Calculated, not measured' in '\n'.join(lines)
    rows = [line for line in lines if line.startswith('| nano | 64 x 96 ')]
    assert len(rows) == 2 and rows[1].count(' / ') == len(DEVICES) - 1  # one has no int8
    texts = [text.text for text in ElementTree.parse(output).getroot().iter(f'{SVG}text')]
    assert texts[0] == 'Calculated, not measured: 128 x 192 in int8, ms an image'
    assert 'Jetson Thor T5000' not in texts and 'RTX 4090' in texts


def test_bars_are_as_long_as_the_times() -> None:
    small, large = Work(1, 0, 10**9, 0), Work(1, 0, 10**9, 10**9)
    picture = ElementTree.fromstring(str(chart({'a': small, 'b': large}, (64, 64), 'float16')))
    bars = [bar for bar in picture.iter(f'{SVG}rect') if bar.get('rx')][2:]  # after the legend
    first = [float(bar.get('width')) for bar in bars[:4]]
    assert first[2] == pytest.approx(2 * first[0], abs=0.2)
    assert first[1] == pytest.approx(EFFICIENCY * first[0], abs=0.2) == first[3]


def test_an_image_of_less_than_a_cell_is_refused(monkeypatch: pytest.MonkeyPatch,
                                                 capsys: pytest.CaptureFixture) -> None:
    monkeypatch.setattr(sys, 'argv', ['device_speed', '--size', '31', '64'])
    assert device_speed.main() == 1
    assert '32 pixels at least' in capsys.readouterr().err


@pytest.mark.parametrize(('name', 'message'), [
    ('chart.png', 'chart.png: the chart is an SVG, name it FILE.svg'),
    ('file/chart.svg', 'file')])
def test_a_chart_that_cannot_be_written_is_one_line(
        monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture, name: str,
        message: str) -> None:
    (tmp_path / 'file').touch()
    monkeypatch.setattr(sys, 'argv', ['device_speed', '--variant', 'nano', '--size', '64', '64',
                                      '--output', str(tmp_path / name)])
    assert main() == 1
    error = capsys.readouterr().err
    assert message in error and len(error.splitlines()) == 1
    assert [path.name for path in tmp_path.iterdir()] == ['file']


@pytest.mark.parametrize(('expected', 'text'), [
    (1122.4, '1100 / 1120'), (0.01234, '0.012 / 0.0123'), (5.0, '5 / 5'), (99.96, '100 / 100')])
def test_times_are_plain_numbers(expected: float, text: str) -> None:
    assert device_speed.cell(expected, expected) == text
