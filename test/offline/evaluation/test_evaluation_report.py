# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""The page of an evaluation: what it shows, and that it stands alone."""

from pathlib import Path
import re

import cv2
from html_page import Page
import numpy as np
import pytest
from segret_ros.labels.label_set import LabelSet
from segret_ros.offline.evaluation.output import (
    column_names,
    columns_of,
    csv_lines,
    EvaluationError,
    FORMAT,
    read_columns,
    timeline,
)
from segret_ros.offline.evaluation.report import columns_needed, write_report
from segret_ros.offline.evaluation.result import Labelled
from segret_ros.offline.evaluation.tally import Faults, reasons, REJECTED, Tally, UNSCORED
from segret_ros.offline.evaluation.thumbnails import frames_to_show, thumbnail

CAMERA = '/front/image_raw'


def drive(folder: Path, names: tuple[str, ...], frames: list[dict], scored: bool = False,
          damage: list | None = None, faults: list | None = None) -> tuple[dict, dict]:
    """Return metrics and columns of a drive of 8 x 8 frames, all of the first class."""
    tally = Tally(len(names))
    label = np.zeros((8, 8), np.uint8)
    lines = []
    for number, values in enumerate(frames):
        tally.add(values.get('problem', ''))
        if values.get('problem') != 'rejected':
            tally.add_labels(np.bincount(label.ravel(), minlength=256),
                             np.bincount(label.ravel() + 200, minlength=256), None)
            values = {'confidence': 200 / 255, 'unknown': 0.0, f'area_{names[0]}': 1.0, **values}
        if scored:
            tally.counts['matched'] += 1
            tally.scores.add(label, label, label + 200)
        lines.append({'bag': 'night', 'camera': CAMERA, 'stamp_ns': number * 10 ** 8,
                      'time_ns': number * 10 ** 8, 'network_ms': 30.0, **values})
    path = folder / 'frames.csv'
    path.write_text(csv_lines(column_names(names)) + csv_lines(columns_of(lines, names)),
                    encoding='utf-8')
    faults = faults or []
    summary = tally.as_json(names, len(frames) if scored else None, faults)
    metrics = {
        'format': FORMAT,
        'model': {'name': 'model', 'hash': 'abc', 'variant': 'nano', 'classes': list(names),
                  'colors': [[index % 256, 9, 9] for index in range(len(names))],
                  'device': 'cpu', 'engine': 'engine'},
        'options': {'every': 1, 'start': None, 'stop': None, 'min_confidence': 0.0},
        'bags': [{'name': 'night', 'frames': len(frames), 'damage': damage or [],
                  'faults': faults}],
        'all': summary, 'cameras': {CAMERA: summary} if frames else {}}
    return metrics, read_columns(path, columns_needed(metrics))


def page_of(folder: Path, metrics: dict, columns: dict, realtime: dict | None = None,
            pictures: dict | None = None, command: str = 'segret_evaluate night') -> Page:
    path = folder / 'report.html'
    write_report(path, metrics, columns, {'command': command, 'seconds': 2.0}, realtime,
                 pictures or {})
    page = Page(path)
    assert 'nan' not in re.sub(r'data:[^"]*', '', page.source).lower().split()
    return page


def test_the_page_says_that_there_are_no_true_labels(tmp_path: Path) -> None:
    page = page_of(tmp_path, *drive(tmp_path, ('road', 'car'), [{}] * 5))
    assert 'no true labels' in page.text
    assert '78.4 %' in page.text  # 200 of 255
    assert 'segret_evaluate night' in page.text and 'abc' in page.text


def test_the_page_shows_the_scores(tmp_path: Path) -> None:
    frames = [{'miou': 1.0}] * 4
    page = page_of(tmp_path, *drive(tmp_path, ('road', 'car'), frames, scored=True))
    assert 'mean IoU is 100.0 %' in page.text
    assert 'Calibration' in page.text


@pytest.mark.parametrize('frames', [
    [], [{}], [{'problem': 'rejected'}] * 3, [{'problem': 'black'}, {}]],
    ids=['none', 'one', 'all rejected', 'one black'])
def test_any_drive_has_a_page(tmp_path: Path, frames: list[dict]) -> None:
    metrics, columns = drive(tmp_path, ('road',), frames)
    page = page_of(tmp_path, metrics, columns)
    assert f'{len(frames)} frame' in page.text
    for kind in {values['problem'] for values in frames if 'problem' in values}:
        assert kind in page.text


def test_damage_and_faults_are_listed_by_count_and_place(tmp_path: Path) -> None:
    damage = [{'place': 'night.mcap, byte 77', 'problem': 'the file is cut', 'count': 3}]
    found = Faults()
    for number in range(3):
        found.add(CAMERA, REJECTED, 'encoding h264', f'{CAMERA} at {7 + number} ns: no picture')
    found.add(CAMERA, UNSCORED, 'an empty file', '/label at 9 ns: an empty file')
    metrics, columns = drive(tmp_path, ('road',), [{'problem': 'rejected'}] * 3 + [{}],
                             scored=True, damage=damage, faults=found.as_json())
    page = page_of(tmp_path, metrics, columns)
    assert metrics['all']['rejected'] == {'encoding h264': 3}
    assert metrics['all']['scores']['unscored'] == {'an empty file': 1}
    for text in ('3 frames were not labelled: encoding h264 (3)', f'{CAMERA} at 7 ns: no picture',
                 'an empty file (1)', '/label at 9 ns', 'night.mcap, byte 77',
                 'the file is cut'):
        assert text in page.text


def test_the_list_of_reasons_is_bounded() -> None:
    found = Faults()
    for number in range(1000):
        found.add(CAMERA, REJECTED, f'encoding {number}', '')
    assert len(found.as_json()) == 51
    assert sum(reasons(found.as_json(), REJECTED).values()) == 1000


def test_names_are_escaped(tmp_path: Path) -> None:
    names = ('<b>road</b>', '"car" & \'bus\'', *(f'class {number}' for number in range(150)))
    page = page_of(tmp_path, *drive(tmp_path, names, [{}] * 3, scored=True),
                   command='segret_evaluate "<i>"')
    for text in ('<b>road</b>', '"<i>"', 'class 149'):
        assert text in page.text


UNKNOWN_MS = dict.fromkeys(('median', 'p90', 'p99', 'max'))
REPLAY = {'frames': 100, 'answered': 93, 'dropped': 7, 'latency_ms': UNKNOWN_MS,
          'age_ms': UNKNOWN_MS, 'rate_hz': None, 'scored': 0, 'streaming_miou': None,
          'offline_miou': None}


def test_a_replay_is_shown(tmp_path: Path) -> None:
    replay = {**REPLAY, 'latency_ms': {'median': 54.2, 'p90': 60.0, 'p99': 77.0, 'max': 80.0},
              'streaming_miou': 0.61, 'offline_miou': 0.69}
    page = page_of(tmp_path, *drive(tmp_path, ('road',), [{}] * 3),
                   {**replay, 'cameras': {CAMERA: replay}})
    for text in ('54 ms', '77 ms', '61.0 %', '69.0 %', 'Dropped 7'):
        assert text in page.text


def test_dashes_stand_for_what_is_unknown_of_a_replay(tmp_path: Path) -> None:
    page = page_of(tmp_path, *drive(tmp_path, ('road',), [{}] * 3),
                   {**REPLAY, 'cameras': {CAMERA: REPLAY, '/rear/image_raw': REPLAY}})
    assert '/rear/image_raw 100 7 – – – – –' in page.text


def test_frames_are_shown_with_their_labels(tmp_path: Path) -> None:
    frames = [{'miou': 0.9 - 0.01 * number, 'confidence': 0.5 + 0.01 * number}
              for number in range(40)]
    metrics, columns = drive(tmp_path, ('road',), frames)
    shown = frames_to_show(columns)
    assert shown['filmstrip'] == sorted(shown['filmstrip']) and len(shown['filmstrip']) == 16
    assert shown['worst'][0] == 39 and shown['least certain'][0] == 0
    image, label = np.zeros((8, 8, 3), np.uint8), np.zeros((8, 8), np.uint8)
    labels = LabelSet(('road',), ((1, 2, 3),))
    pictures = {name: [thumbnail(name, columns, Labelled(index, image, label, label), labels)
                       for index in rows] for name, rows in shown.items()}
    page = page_of(tmp_path, metrics, columns, pictures=pictures)
    assert len(page.images) == 16 + 4 * (len(shown['worst']) + len(shown['least certain']))


def test_a_long_drive_has_a_small_page_that_keeps_its_extremes(tmp_path: Path) -> None:
    metrics, columns = drive(tmp_path, ('road', 'car'), [{}] * 50)
    long = {name: np.repeat(column, 1000) for name, column in columns.items()}
    long['time_ns'] = np.arange(50000) * 10 ** 8
    long['stability'] = np.full(50000, 0.95, np.float32)
    long['stability'][31234] = 0.25
    page_of(tmp_path, metrics, long)
    text = (tmp_path / 'report.html').read_text()
    assert len(text) < 600_000
    flat = long | {'stability': np.full(50000, 0.95, np.float32)}
    page_of(tmp_path, metrics, flat)
    assert text != (tmp_path / 'report.html').read_text()


def test_each_camera_has_its_own_plots(tmp_path: Path) -> None:
    metrics, columns = drive(tmp_path, ('road', 'car'), [{}] * 10)
    metrics['cameras'] = {CAMERA: metrics['all'], '/rear/image_raw': metrics['all']}
    columns['camera'] = np.array([CAMERA, '/rear/image_raw'] * 5, object)
    columns['confidence'][columns['camera'] == CAMERA] = 0.3
    page_of(tmp_path, metrics, columns)
    front, rear = (tmp_path / 'report.html').read_text().split('<h3>')[1:3]
    assert front.startswith(CAMERA) and rear.startswith('/rear/image_raw')
    assert '30 %' in front and '30 %' not in rear.split('Classes')[0]
    shown = frames_to_show(columns)['filmstrip']
    assert sorted(shown) == list(range(10)) and shown[:5] == [0, 2, 4, 6, 8]


def test_a_drive_without_values_shows_no_pictures() -> None:
    nothing = np.full(3, np.nan, np.float32)
    columns = {'confidence': nothing, 'stability': nothing, 'miou': nothing,
               'bag': np.full(3, 'night', object), 'camera': np.full(3, CAMERA, object),
               'time_ns': np.arange(3)}
    assert frames_to_show(columns) == {'filmstrip': [], 'worst': [], 'least certain': []}


def test_without_true_labels_the_least_stable_frames_are_the_worst(tmp_path: Path) -> None:
    frames = [{'stability': 0.9}, {'stability': 0.2}, {}, {'stability': 0.5}]
    metrics, columns = drive(tmp_path, ('road',), frames)
    assert frames_to_show(columns)['worst'] == [1, 3, 0]
    image, label = np.zeros((8, 8, 3), np.uint8), np.zeros((8, 8), np.uint8)
    thumb = thumbnail('worst', columns, Labelled(1, image, label, None),
                      LabelSet(('a',), ((1, 2, 3),)))
    assert list(thumb.panels) == ['camera', 'labels']
    assert thumb.caption == '0.1 s · stability 20.0 % · confidence 78.4 %'
    page = page_of(tmp_path, metrics, columns, pictures={'worst': [thumb]})
    assert 'Least stable frames' in page.text and len(page.images) == 2


def test_the_worst_frames_lie_apart() -> None:
    count = 200
    columns = {'bag': np.full(count, 'night', object), 'camera': np.full(count, CAMERA, object),
               'time_ns': np.arange(count) * 10 ** 8, 'confidence': np.ones(count, np.float32),
               'stability': np.ones(count, np.float32),
               'miou': np.abs(np.arange(count) - 100).astype(np.float32) / count}
    worst = frames_to_show(columns)['worst']
    assert worst[0] == 100 and len(worst) == 6
    assert np.diff(sorted(worst)).min() >= 10  # a twentieth of the drive


def test_wrong_pixels_are_red_and_unlabelled_ones_dark(tmp_path: Path) -> None:
    _, columns = drive(tmp_path, ('road', 'car'), [{}])
    image, label = np.full((32, 32, 3), 120, np.uint8), np.zeros((32, 32), np.uint8)
    true_label = label.copy()
    true_label[:, 16:] = 1
    true_label[16:] = 255
    thumb = thumbnail('worst', columns, Labelled(0, image, label, true_label),
                      LabelSet(('road', 'car'), ((1, 2, 3), (200, 100, 50))))
    file = np.frombuffer(thumb.panels['wrong in red'], np.uint8)
    bgr = cv2.imdecode(file, cv2.IMREAD_COLOR).astype(int)
    assert abs(bgr[4, 4] - 120).max() < 8
    assert bgr[4, 28, 2] > 200 and bgr[4, 28, :2].max() < 80
    assert bgr[28, 4].max() < 40


def test_a_clock_that_is_set_does_not_count_as_driving() -> None:
    columns = {'bag': np.array(['a', 'a', 'a', 'a', 'b', 'b'], object),
               'time_ns': np.array([0, 1, 1_700_000_000, 1_699_999_999, 7, 9]) * 10 ** 9}
    times = timeline(columns)
    np.testing.assert_array_equal(times.driven_s, [0, 1, 61, 61, 61, 63])
    assert times.starts == {'a': 0, 'b': 61} and times.duration_s == 63


def test_a_missing_column_is_named(tmp_path: Path) -> None:
    drive(tmp_path, ('road',), [{}] * 3)
    with pytest.raises(EvaluationError, match='no column area_car'):
        read_columns(tmp_path / 'frames.csv', ['bag', 'area_car'])


def test_a_long_table_is_read_in_parts(tmp_path: Path) -> None:
    path = tmp_path / 'frames.csv'
    path.write_text('bag,time_ns,miou\n' + ''.join(
        f'night,{number},{number / 10 ** 4 if number % 2 else ""}\n' for number in range(10000)))
    columns = read_columns(path, ['miou', 'time_ns', 'bag'])
    np.testing.assert_array_equal(columns['time_ns'], np.arange(10000))
    assert columns['miou'][9999] == pytest.approx(0.9999) and np.isnan(columns['miou'][::2]).all()
    assert set(columns['bag']) == {'night'}
