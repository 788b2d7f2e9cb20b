# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""The measurement as a user runs it, on the real engine; nothing here depends on speed."""

from collections import Counter
import json
from pathlib import Path
import platform
import subprocess
import sys
from xml.etree import ElementTree

import numpy as np
import onnxruntime
import pytest
from segret_ros.files.output_file import BENCH_MARK, claim_file, PICTURE_MARK
from segret_ros.files.share import default_model, package_version
from segret_ros.inference import Model
from segret_ros.inference.engines.devices import Device, Lack
from segret_ros.offline.bench import device_table
from segret_ros.offline.bench_chart import chart
from segret_ros.offline.bench_measure import (
    Benchmark,
    benchmark,
    camera_frames,
    decode,
    faster,
    ratio,
    Result,
    STAGES,
    SUMMANDS,
)
from segret_ros.offline.bench_report import to_json, to_text
from segret_ros.offline.machine import cpu_name, Machine, memory_mb

CAMERA_SIZE = (50, 70)
RUNS = 6
TIMEOUT_S = 600


def run(*arguments) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, '-m', 'segret_ros.offline.bench', *map(str, arguments)],
                          capture_output=True, text=True, timeout=TIMEOUT_S)


@pytest.fixture(scope='module')
def alone(model_file: Path) -> Benchmark:
    return benchmark([(model_file, 'cpu')], CAMERA_SIZE, RUNS, iter)


@pytest.fixture(scope='module')
def pair(model_file: Path) -> Benchmark:
    return benchmark([(model_file, 'cpu')] * 2, CAMERA_SIZE, RUNS, iter)


def made_up(*totals_ms: list[float]) -> list[Result]:
    """Return results of known times: the network takes 3/4 of the total."""
    parts = {'resize': 0.05, 'network': 0.75, 'labels': 0.1, 'confidence': 0.1, 'total': 1,
             'decode': 0.2, 'colour': 0.001}
    info = Model.load(default_model()).info
    return [Result(default_model(), info, 'engine 1', 'cpu', 1500.0,
                   {stage: part * np.array(total) for stage, part in parts.items()})
            for total in totals_ms]


def made_up_benchmark(*totals_ms: list[float], equal: float | None = None) -> Benchmark:
    added_mb = None if len(totals_ms) == 2 else 150.0
    return Benchmark(Machine('some processor', 2, 'Linux'), (720, 1280), made_up(*totals_ms),
                     equal, 400.0, added_mb)


def test_every_stage_is_measured_in_every_run(alone: Benchmark) -> None:
    times = alone.results[0].times_ms
    assert tuple(times) == STAGES
    assert all(values.shape == (RUNS,) and (values > 0).all() for values in times.values())
    np.testing.assert_allclose(sum(times[stage] for stage in SUMMANDS), times['total'])
    assert alone.runs == RUNS
    assert alone.camera_size == CAMERA_SIZE


def test_memory_is_the_process_s(alone: Benchmark, pair: Benchmark) -> None:
    assert 20 < alone.peak_memory_mb <= memory_mb('VmHWM')
    assert alone.load_added_mb is not None and alone.load_added_mb < alone.peak_memory_mb
    assert pair.load_added_mb is None  # of both together


def test_a_model_against_itself_labels_alike(pair: Benchmark) -> None:
    assert pair.equal_labels == 1.0
    assert 0.2 < ratio(pair.results, 'network') < 5  # of whatever speed: the same work


def test_models_of_different_classes_are_not_compared_by_label(model_file: Path) -> None:
    mixed = benchmark([(model_file, 'cpu'), (default_model(), 'cpu')], CAMERA_SIZE, 1, iter)
    assert mixed.equal_labels is None
    assert 'labels are not compared' in to_text(mixed)


def test_the_camera_is_the_models_input_if_left_out(model_file: Path) -> None:
    assert benchmark([(model_file, 'cpu')], None, 1, iter).camera_size == (64, 96)


def test_frames_are_the_drives_as_jpeg_of_the_cameras_size() -> None:
    frames = camera_frames(CAMERA_SIZE)
    images = [decode(frame) for frame in frames]
    assert len(frames) == 8
    assert {(image.shape, image.dtype.name) for image in images} == {((*CAMERA_SIZE, 3), 'uint8')}
    assert all(bytes(frame[:2]) == b'\xff\xd8' for frame in frames)
    assert len({image.tobytes() for image in images}) == 8
    sky = np.mean([image[:10].mean((0, 1)) for image in images], axis=0)
    assert sky[2] > sky[0]  # RGB: a sky is bluer than red


def test_statistics_are_of_the_runs() -> None:
    result, = made_up(list(range(1, 102)))
    assert result.statistics('total') == {'median': 51, 'p90': 91, 'p99': 100}
    assert result.images_per_second() == pytest.approx(1000 / 51)
    assert result.share_around_network() == pytest.approx(0.25)


def test_the_ratio_is_the_median_of_pairs() -> None:
    results = made_up([10, 20, 40], [5, 40, 20])  # ratios 0.5, 2, 0.5; of the medians: 1
    assert ratio(results, 'total') == 0.5


@pytest.mark.parametrize('second, winner, wins', [
    ([9.0] * 16, 'B', 16), ([11.0] * 16, 'A', 0), ([9.0] * 13 + [11.0] * 3, 'B', 13),
    ([9.0] * 12 + [11.0] * 4, None, 12), ([9.0] * 8 + [11.0] * 8, None, 8),
    ([9.0], None, 1),
])
def test_a_winner_wins_more_often_than_a_coin(second: list[float], winner: str | None,
                                              wins: int) -> None:
    assert faster(made_up([10.0] * len(second), second)) == (winner, wins)


def test_the_text_shows_everything_of_one() -> None:
    text = to_text(made_up_benchmark([100.0] * 4))
    lines = text.splitlines()
    assert 'machine  some processor, 2 cores, Linux' in lines
    assert 'camera   720 x 1280 (height x width)' in text
    assert 'segret_nano_camvid (nano, 11 classes, network input 360 x 480)' in text
    assert 'engine 1 on cpu' in text
    rows = [line.split() for line in lines]
    for stage in STAGES:
        assert sum(row[:1] == [stage] for row in rows) == 1 + (stage == 'total'), stage
    assert ['network', '75.00', '75.00', '75.00'] in rows
    assert '10.0 images per second; 25% of the time is around the network; ready 1.5 s' in text
    assert 'at most 400 MB, of which loading the model added 150 MB' in text


def test_the_text_puts_two_side_by_side() -> None:
    text = to_text(made_up_benchmark([100.0] * 8, [50.0] * 8, equal=0.99912))
    assert ['network', *['75.00'] * 3, *['37.50'] * 3, '0.50'] in [
        line.split() for line in text.splitlines()]
    assert text.count('engine 1 on cpu') == 2
    assert 'B is 2.00 times as fast as A: B / A is 0.500, B was faster in 8 of 8 pairs' in text
    assert '99.912% of the labels are equal' in text
    assert '400 MB, of both models together' in text
    assert 'A is 2.00 times as fast as B' in to_text(
        made_up_benchmark([50.0] * 8, [100.0] * 8, equal=1.0))
    assert 'no significant difference in time: B / A is 1.000' in to_text(
        made_up_benchmark([50.0, 60.0], [60.0, 48.0], equal=1.0))


def test_json_holds_everything(pair: Benchmark, model_file: Path) -> None:
    record = json.loads(json.dumps(to_json(pair)))
    assert record['segret_ros'] == package_version()
    assert set(record['machine']) == {'cpu', 'cores', 'platform'}
    assert (record['camera_size'], record['runs']) == (list(CAMERA_SIZE), RUNS)
    assert record['load_added_mb'] is None and record['peak_memory_mb'] > 0
    assert len(record['results']) == 2
    for result in record['results']:
        assert (result['model'], result['device']) == (str(model_file), 'cpu')
        assert (result['variant'], result['classes']) == ('none', 3)
        assert result['input_size'] == [64, 96] and result['engine']
        assert set(result['stages_ms']) == set(STAGES)
        assert all(0 < times['median'] <= times['p90'] <= times['p99']
                   for times in result['stages_ms'].values())
        assert result['images_per_second'] == pytest.approx(
            1000 / result['stages_ms']['total']['median'])
        assert 0 < result['share_around_network'] < 1
    assert set(record['comparison']['ratio_b_to_a']) == set(STAGES)
    assert record['comparison']['equal_labels'] == 1.0
    assert 0 <= record['comparison']['pairs_b_faster'] <= RUNS


def test_the_chart_is_svg_with_a_number_a_stage(pair: Benchmark) -> None:
    svg = chart(pair)
    root = ElementTree.fromstring(svg)
    written = Counter(text.text for text in root.iter('{http://www.w3.org/2000/svg}text'))
    medians = Counter(f'{result.statistics(stage)["median"]:.2f}' for result in pair.results
                      for stage in STAGES)
    assert set(STAGES) <= set(written) and medians <= written
    assert svg == chart(pair)  # the same in every run


def test_the_command_writes_what_it_shows(model_file: Path, tmp_path: Path) -> None:
    ran = run(model_file, '--device', 'cpu', '--size', 40, 60, '--runs', 3, '--against-device',
              'cpu', '--json', tmp_path / 'out' / 'b.json', '--plot', tmp_path / 'b.svg')
    assert ran.returncode == 0, ran.stderr
    assert 'camera   40 x 60' in ran.stdout and 'of 3 pairs' in ran.stdout
    record = json.loads((tmp_path / 'out' / 'b.json').read_text())
    assert [result['model'] for result in record['results']] == [str(model_file)] * 2
    assert record['comparison']['equal_labels'] == 1.0
    claim_file(tmp_path / 'out' / 'b.json', [], BENCH_MARK)  # to be replaced by the next one
    claim_file(tmp_path / 'b.svg', [], PICTURE_MARK)
    assert (tmp_path / 'b.svg').read_text().startswith('<svg')
    assert 'measure: 100%' in ran.stderr


def test_devices_are_listed_with_what_they_lack() -> None:
    ran = run('--device')
    assert (ran.returncode, ran.stderr) == (0, '')
    usable = {}
    for line in ran.stdout.splitlines()[1:]:
        if line and not line.startswith((' ', 'auto takes')):
            usable[line.split()[0]] = line.split()[-1] == 'yes'
    assert {'cpu', 'openvino', 'cuda', 'tensorrt'} <= usable.keys()
    assert usable['cpu'] and onnxruntime.__version__ in ran.stdout
    assert ran.stdout.count('  - ') >= sum(not value for value in usable.values())
    auto = ran.stdout.splitlines()[-1].removeprefix('auto takes ').partition(':')[0]
    assert auto == next(name for name in ('torch', 'cuda', 'openvino', 'cpu') if usable[name])


def test_the_list_is_a_table_with_remedies() -> None:
    lack = Lack('the driver is missing', 'sudo make it')
    text = device_table([Device('cpu', 'engine 1', []), Device('openvino', '', [lack])],
                        ['openvino', 'cpu'])
    assert text.splitlines() == [
        'device    engine    usable', 'cpu       engine 1  yes', 'openvino  -         no',
        '          - the driver is missing', '            sudo make it', '',
        'auto takes cpu: neither a GPU nor OpenVINO can be used']


def test_devices_are_listed_without_what_a_measurement_takes() -> None:
    absent = {'rosbags', 'torch', 'tqdm'}
    code = f"""
import sys
sys.modules.update({{name: None for name in {absent!r}}})
sys.argv = ['segret_bench', '--device']
from segret_ros.offline.bench import main
code = main()
assert 'openvino' not in sys.modules
sys.exit(code)
"""
    ran = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    assert 'auto takes' in ran.stdout


@pytest.mark.parametrize('arguments, message', [
    (['no.onnx'], 'no.onnx: no such model file'),
    (['--against', 'no.onnx'], 'no.onnx: no such model file'),
    (['--device', 'abacus'], "no device 'abacus'"),
    (['--against-device', 'abacus'], "no device 'abacus'"),
    (['--runs', '0'], '--runs is 0: at least 1'),
    (['--size', '0', '64'], '--size is 0 x 64: height and width must be 1..16384'),
    (['--size', '64', '16385'], '--size is 64 x 16385'),
    (['--plot', 'chart.png'], '--plot is chart.png: the chart is an SVG'),
])
def test_a_users_mistake_is_one_line(tmp_path: Path, arguments: list[str], message: str) -> None:
    ran = run('--json', tmp_path / 'x.json', *arguments)
    assert ran.returncode == 1
    assert len(ran.stderr.splitlines()) == 1 and message in ran.stderr
    assert ran.stdout == '' and not (tmp_path / 'x.json').exists()


@pytest.mark.parametrize('cpuinfo, expected', [
    ('processor\t: 0\nmodel\t: 17\nmodel name\t: AMD  EPYC 9654\n', 'AMD EPYC 9654'),
    ('processor\t: 0\nBogoMIPS\t: 50\n\nModel\t\t: Raspberry Pi 5\n', 'Raspberry Pi 5'),
    ('processor\t: 0\nmodel name\t:\n', f'{platform.machine()} processor'),
])
def test_the_processor_has_a_name(cpuinfo: str, expected: str) -> None:
    assert cpu_name(cpuinfo) == expected
