# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Two evaluations side by side, against numbers worked out by hand."""

import base64
from collections.abc import Sequence
from dataclasses import replace
from html.parser import HTMLParser
import json
from pathlib import Path
import re

import cv2
import numpy as np
from output_folders import DELAY_NS, Frame, LABEL_TOPIC, write_folder
import pytest
from segret_ros.offline.bags import BagWriter, serialize
from segret_ros.offline.evaluation.compare import compare, failures, gate
from segret_ros.offline.evaluation.comparison import Comparison
from segret_ros.offline.evaluation.comparison_page import write_comparison
from segret_ros.offline.evaluation.output import EvaluationError, FORMAT
from segret_ros.offline.evaluation.result import label_message, new_header

CLASSES = ('road', 'car')
SECOND = 1_000_000_000
HALF = (0.5, 0.5)


def drive(hits: Sequence[tuple[int, int]], step_ns: int = SECOND) -> list[Frame]:
    """
    Write frames of 100 pixels, half of each class, with the given hits.

    A pixel that is missed by one class is taken by the other one.
    """
    return [Frame(place * step_ns, HALF, (road, car), (100 - car, 100 - road))
            for place, (road, car) in enumerate(hits)]


def compared(folder: Path, a: Sequence[Frame], b: Sequence[Frame], **changes) -> Comparison:
    """Compare two folders of two classes; `changes` are those of B."""
    return compare(write_folder(folder / 'a', CLASSES, a),
                   write_folder(folder / 'b', CLASSES, b, **changes))


def test_hand_worked(tmp_path: Path) -> None:
    found = compared(tmp_path, drive([(50, 50), (50, 30)]), drive([(50, 50), (40, 50)]))
    # A: road 100 of 50 + 70, car 80 of 50 + 50; B: road 90 of 50 + 50, car 100 of 50 + 60.
    road, car = found.ious
    assert (road.a, road.b) == pytest.approx((100 / 120, 90 / 100))
    assert (car.a, car.b) == pytest.approx((80 / 100, 100 / 110))
    mean, accuracy = found.scores
    assert (mean.a, mean.b) == pytest.approx((49 / 60, 199 / 220))
    assert mean.points == pytest.approx(100 * (199 / 220 - 49 / 60))
    assert (accuracy.a, accuracy.b) == pytest.approx((180 / 200, 190 / 200))
    assert (found.frames, found.only_a, found.only_b, found.labelled) == (2, 0, 0, 2)
    # Two blocks are too few for an interval, and so for a claim.
    assert mean.interval is None and mean.verdict == 'no interval' and not mean.sign
    assert re.search(r'^mean IoU +81.67% +90.45% +\+8.79 ', found.table(), re.MULTILINE)
    # Of the frame alone: road 50 of 70 and car 30 of 50, then road 40 of 50 and car 50 of 60.
    assert [(frame.stamp_ns, frame.miou_a, frame.miou_b) for frame in found.changed] == [
        (SECOND, pytest.approx(23 / 35), pytest.approx(49 / 60))]


def test_a_class_that_is_absent_is_left_out_of_the_mean_and_can_be_no_worse(
        tmp_path: Path) -> None:
    a = [Frame(0, (1, 0), (90, 0), (100, 10))]
    b = [Frame(0, (1, 0), (100, 0), (100, 0))]
    found = compared(tmp_path, a, b)
    assert (found.scores[0].a, found.scores[0].b) == pytest.approx((0.45, 1))
    assert found.ious[1].a == 0 and np.isnan(found.ious[1].b)
    assert re.search(r'IoU of car +0.00% +- +- +-$', found.table(), re.MULTILINE)
    assert gate(found, no_worse_than=0) == []


def test_equal_results_differ_by_exactly_nothing(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    frames = [replace(frame, areas=random.dirichlet([1, 1]), values={
        'stability': random.random(), 'confidence': random.random()})
        for frame in drive(random.integers(0, 51, (30, 2)).tolist(), SECOND // 2)]
    found = compared(tmp_path, frames, frames)
    told = [*found.scores, *found.ious, *found.behaviour[1:], *found.areas]
    assert len(told) == 9
    assert {one.interval for one in told} == {(0, 0)}
    assert {one.verdict for one in told} == {'no difference shown'}
    assert found.verdict().startswith('No difference shown: mean IoU +0.00 points')
    assert found.changed == () and gate(found, no_worse_than=0) == []


def test_a_clear_difference_is_claimed_either_way(tmp_path: Path) -> None:
    random = np.random.default_rng(1)
    good, bad = (drive(random.integers(low, low + 11, (20, 2)).tolist()) for low in (40, 20))
    (tmp_path / 'other').mkdir()
    better, worse = compared(tmp_path, bad, good), compared(tmp_path / 'other', good, bad)
    assert better.scores[0].interval[0] > 0.2
    assert better.verdict().startswith('B is better than A: mean IoU +')
    assert better.verdict().endswith('Classes: better in road, car.')
    assert worse.verdict().startswith('B is worse than A: mean IoU -')
    assert {one.verdict for one in worse.ious} == {'worse'}


def test_frames_without_true_labels_are_compared_by_what_they_show(tmp_path: Path) -> None:
    a = [Frame(place * SECOND, HALF, values={'flicker': 0.02 + place / 1e4})
         for place in range(8)]
    b = [Frame(place * SECOND, (0.5 + place / 100, 0.5 - place / 100),
               values={'flicker': 0.01, 'stability': '' if place == 0 else 0.98,
                       'confidence': 0.8 + place / 1000}) for place in range(8)]
    found = compared(tmp_path, a, b)
    assert found.scores == () and found.ious == () and found.labelled == 0
    verdicts = {one.name: one.verdict for one in found.behaviour}
    assert verdicts == {'consistency': 'no interval', 'stability': 'better',
                        'flicker': 'better', 'confidence': 'lower'}
    stability = found.behaviour[1]
    assert (stability.a, stability.b) == pytest.approx((0.95, 0.98))  # without the first frame
    assert found.areas[1].points == pytest.approx(-3.5, abs=1e-4)
    assert found.verdict() == ('Without true labels nothing tells which is better; B: better in '
                               'stability, flicker; lower in confidence.')
    most = found.changed[0]
    assert (most.stamp_ns, most.class_name) == (7 * SECOND, 'road')
    assert most.moved == pytest.approx(0.07)
    assert len(found.changed) == 7  # the first frame is the same


def test_the_ten_frames_that_changed_most(tmp_path: Path) -> None:
    a = drive([(50, 50)] * 20)
    b = drive([(50 - place, 50) for place in range(20)])
    found = compared(tmp_path, a, b)
    assert [frame.stamp_ns // SECOND for frame in found.changed] == list(range(19, 9, -1))
    assert 'drive  /camera/image_raw/compressed  19.000000000  mean IoU 100.00% to' \
        in found.table()


def test_frames_are_paired_by_bag_camera_and_stamp(tmp_path: Path) -> None:
    def frame(bag: str, camera: str, stamp_ns: int, hits: int) -> Frame:
        return Frame(stamp_ns, HALF, (hits, hits), (100 - hits, 100 - hits),
                     {'bag': bag, 'camera': camera})

    a = [frame('x', '/rear', 5, 10), frame('x', '/front', 5, 20), frame('x', '/front', 4, 30),
         frame('y', '/front', 5, 40), frame('y', '/front', 5, 50)]
    b = [frame('z', '/front', 5, 1), frame('y', '/front', 5, 39), frame('x', '/front', 4, 29),
         frame('x', '/front', 6, 1), frame('x', '/rear', 5, 9), frame('y', '/front', 5, 49)]
    found = compared(tmp_path, a, b)
    assert (found.frames, found.only_a, found.only_b) == (4, 1, 2)
    pairs = {(one.bag, one.camera, one.stamp_ns, round(one.miou_a, 5)): one.miou_b
             for one in found.changed}
    # What y has twice in both is paired in its order.
    assert pairs == {(*key, round(hits / (100 - hits), 5)): pytest.approx(
        (hits - 1) / (101 - hits), 1e-5) for key, hits in (
            (('x', '/rear', 5), 10), (('x', '/front', 4), 30), (('y', '/front', 5), 40),
            (('y', '/front', 5), 50))}


@pytest.mark.parametrize('stamp_ns', [0, 5 * SECOND])
def test_frames_of_one_stamp_are_paired_by_the_time_of_recording(tmp_path: Path,
                                                                 stamp_ns: int) -> None:
    def frame(number: int, hits: int) -> Frame:
        return Frame(stamp_ns, HALF, (hits, hits), (100 - hits, 100 - hits),
                     {'time_ns': number * SECOND})

    a = [frame(number, 40 - number) for number in range(6)]
    found = compared(tmp_path, a, [frame(number, 39 - number) for number in (0, 2, 4)])
    assert (found.frames, found.only_a, found.only_b) == (3, 3, 0)
    assert {one.time_ns // SECOND: round(one.miou_a, 5) for one in found.changed} == {
        number: round((40 - number) / (60 + number), 5) for number in (0, 2, 4)}


def test_frames_that_nothing_tells_apart_are_not_paired(tmp_path: Path) -> None:
    twice = [Frame(5 * SECOND, HALF, (hits, hits), (50, 50)) for hits in (40, 10)]
    last = Frame(6 * SECOND, HALF, (30, 30), (50, 50))
    found = compared(tmp_path, [*twice, last], [twice[1], last])
    assert (found.frames, found.only_a, found.only_b) == (1, 2, 1)


def test_only_frames_labelled_in_both_are_scored(tmp_path: Path) -> None:
    a = drive([(50, 50), (50, 40), (10, 10)])
    b = [*drive([(50, 50), (50, 50)]), Frame(2 * SECOND, HALF)]
    found = compared(tmp_path, a, b)
    assert (found.frames, found.labelled) == (3, 2)
    assert found.scores[1].a == pytest.approx(190 / 200)


def test_rejected_frames_have_no_values(tmp_path: Path) -> None:
    frames = drive([(50, 50)] * 6)
    rejected = Frame(6 * SECOND, ('', ''), values={'problem': 'rejected', **dict.fromkeys(
        ('confidence', 'unknown', 'stability', 'flicker', 'change'), '')})
    found = compared(tmp_path, [*frames, rejected], [*frames, rejected])
    assert (found.frames, found.labelled) == (7, 6)
    assert {one.interval for one in (*found.scores, *found.areas)} == {(0, 0)}


def test_unknown_pixels_are_wrong_ones(tmp_path: Path) -> None:
    # 40 hits, 30 wrong and 30 unknown of 100 pixels: the unions hold 70 and twice 30.
    unknown = [Frame(0, HALF, (40, 0), (70, 60), {'pixel_accuracy': 0.4})]
    found = compared(tmp_path, [*unknown, *drive([(0, 0)] * 2)[1:]], drive([(0, 0), (50, 50)]))
    assert (found.scores[1].a, found.scores[1].b) == (0.2, 0.5)


def test_other_options_are_told(tmp_path: Path) -> None:
    found = compared(tmp_path, drive([(50, 50)] * 2), drive([(50, 50)] * 2),
                     options={'every': 2}, model={'hash': 'a'})
    assert found.notes == ('A and B are of the same model file.',
                           'A and B have other options: every is 1 in A, 2 in B.',
                           'Stability and flicker are left out: their frames are differently far '
                           'apart.')
    assert [one.name for one in found.behaviour] == ['confidence']


def test_the_gate(tmp_path: Path) -> None:
    random = np.random.default_rng(4)
    a = drive([(50, 50 - int(random.integers(0, 3))) for _ in range(20)])
    b = drive([(50, 40 - int(random.integers(0, 3))) for _ in range(20)])
    found = compared(tmp_path, a, b)
    mean, car = found.scores[0], found.ious[1]
    assert gate(found) == []
    assert gate(found, fail_under=79, no_worse_than=25) == []
    assert gate(found, fail_under=90) == [
        f'mean IoU of B is {mean.b:.2%}, {90 - 100 * mean.b:.2g} points below the 90% of '
        '--fail-under']
    broken = gate(found, fail_under=90, no_worse_than=1)
    assert [line.split(' of B')[0] for line in broken] == [
        'mean IoU', 'mean IoU', 'IoU of road', 'IoU of car']
    assert broken[3].startswith(
        f'IoU of car of B is {-car.points:.4g} points worse than of A ({car.a:.2%} to '
        f'{car.b:.2%}), --no-worse-than allows 1; the 95% interval -2')
    assert broken[3].endswith('supports it')
    barely = gate(found, no_worse_than=-car.points - 1e-4)
    assert len(barely) == 1 and barely[0].endswith('shows a loss, but not by so much')
    assert gate(found, no_worse_than=-car.points) == []  # at the limit
    assert gate(found, fail_under=100 * mean.b) == []


def test_the_gate_tells_what_may_be_chance(tmp_path: Path) -> None:
    hits = [(50, 50 - 10 * (place % 2)) for place in range(12)]
    other = [(50, 50 - 10 * (place % 3 < 2)) for place in range(12)]
    found = compared(tmp_path, drive(hits), drive(other))
    broken = gate(found, no_worse_than=0)
    assert len(broken) == 3
    assert all(line.endswith('holds zero: it may be chance') for line in broken)
    few = replace(found, ious=tuple(replace(one, interval=None) for one in found.ious))
    assert gate(few, no_worse_than=0)[1].endswith('too few blocks of frames for an interval')


def test_a_gate_without_true_labels_tells_how_to_give_them(tmp_path: Path) -> None:
    found = compared(tmp_path, drive([(50, 50)]), [Frame(0, HALF)])
    with pytest.raises(EvaluationError, match=f'^{tmp_path / "b"} has no true labels, and a gate '
                                              'needs .* --labels TOPIC or --labels FOLDER'):
        gate(found, fail_under=50)
    assert gate(found) == []


@pytest.mark.parametrize('limits', [{'fail_under': 0.7}, {'fail_under': 101},
                                    {'fail_under': float('nan')}, {'no_worse_than': -1},
                                    {'no_worse_than': float('nan')}])
def test_limits_out_of_range(tmp_path: Path, limits: dict) -> None:
    found = compared(tmp_path, drive([(50, 50)]), drive([(50, 50)]))
    with pytest.raises(EvaluationError, match=f'is {list(limits.values())[0]:g}: it must be'):
        gate(found, **limits)


def test_one_evaluation_can_be_gated_too(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / 'a', CLASSES, drive([(50, 30)]))
    metrics = json.loads((folder / 'metrics.json').read_text())
    assert failures(metrics, 65) == []
    assert failures(metrics, 66) == [
        'mean IoU is 65.71%, 0.29 points below the 66% of --fail-under']
    metrics['all']['scores'] = None
    with pytest.raises(EvaluationError, match='no mean IoU, and a gate needs true labels'):
        failures(metrics, 66)


def test_folders_that_are_not_finished(tmp_path: Path) -> None:
    good = write_folder(tmp_path / 'good', CLASSES, drive([(50, 50)]))
    with pytest.raises(EvaluationError, match='missing: no such folder'):
        compare(good, tmp_path / 'missing')
    (good / 'metrics.json').rename(tmp_path / 'kept')
    with pytest.raises(EvaluationError, match='good: has no metrics.json.* --resume'):
        compare(good, good)
    (tmp_path / 'kept').rename(good / 'metrics.json')
    (good / 'frames.csv').unlink()
    with pytest.raises(EvaluationError, match='frames.csv: is missing.* --resume'):
        compare(good, good)


@pytest.mark.parametrize(('change', 'message'), [
    (lambda metrics: metrics.update(format=1), f'is of format 1, this version reads {FORMAT}'),
    (lambda metrics: metrics.pop('format'), 'is of format None'),
    (lambda metrics: metrics.pop('options'), 'tells no classes, colours, options or number'),
    (lambda metrics: metrics['model'].pop('classes'), 'tells no classes'),
    (lambda metrics: metrics['model'].update(classes=['road', 'road']), 'tells no classes'),
    (lambda metrics: metrics['model'].update(colors=[[1, 2, 3]]), 'tells no classes'),
    (lambda metrics: metrics.update(all=None), 'tells no classes'),
    (lambda metrics: metrics['all'].update(frames=7), 'has 3 frames, metrics.json tells of 7'),
])
def test_metrics_of_another_kind(tmp_path: Path, change, message: str) -> None:
    folder = write_folder(tmp_path / 'a', CLASSES, drive([(50, 50)] * 3))
    metrics = json.loads((folder / 'metrics.json').read_text())
    change(metrics)
    (folder / 'metrics.json').write_text(json.dumps(metrics))
    with pytest.raises(EvaluationError, match=message):
        compare(folder, folder)


@pytest.mark.parametrize(('old', 'new', 'message'), [
    ('hit_car', 'hit_cat', "lacks column 'hit_car'"),
    ('flicker', 'stability', "lacks column 'flicker'"),
    ('union_car\n', 'union_car,boundary\n', "has an unknown column 'boundary'"),
    ('union_car\n', 'union_car,bag\n', "repeats column 'bag'"),
    ('50,50,50,50\n', '50,50,50,50,50\n', 'line 2 has 27 values for 26 columns: it is cut'),
    ('drive', '"drive', 'line . has .* it is cut or damaged'),
    ('drive', '\udcff', 'is cut or damaged'),
    (',0.95,', ',much,', "column stability up to line 4 has no number .*'much'"),
    (',1000000000,1', ',,1', 'column stamp_ns up to line 4 has no number'),
    ('50,50,50,50', '50,50,50,9e9', 'frame 1 has'),
    ('50,50,50,50', '50,50,50,', 'frame 1 has counts of some classes only'),
    ('50,50,50,50', '50,60,50,50', 'frame 1 has .* more hits than the union'),
    ('50,50,50,50', '50,-7,50,50', 'frame 1 has .*: it is damaged'),
    ('1,50,50,50,50', '0,50,50,50,50', 'frame 1 has .* more hits than .* pixel accuracy'),
])
def test_frames_that_are_damaged(tmp_path: Path, old: str, new: str, message: str) -> None:
    folder = write_folder(tmp_path / 'a', CLASSES, drive([(50, 50)] * 3))
    path = folder / 'frames.csv'
    content = path.read_text()
    assert old in content
    path.write_bytes(content.replace(old, new, 1).encode(errors='surrogateescape'))
    with pytest.raises(EvaluationError, match=f'{path}: {message}'):
        compare(folder, folder)


def test_a_file_cut_anywhere_is_one_clear_error(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / 'a', CLASSES, drive([(50, 50)] * 3))
    path = folder / 'frames.csv'
    content = path.read_bytes()
    for size in range(len(content)):
        path.write_bytes(content[:size])
        with pytest.raises(EvaluationError, match=str(path)):
            compare(folder, folder)


def test_folders_that_can_not_be_compared(tmp_path: Path) -> None:
    a = write_folder(tmp_path / 'a', CLASSES, drive([(50, 50)]))
    b = write_folder(tmp_path / 'b', ('road', 'tree'), drive([(50, 50)]))
    c = write_folder(tmp_path / 'c', ('road',), [Frame(0, (1,), (50,), (60,))])
    d = write_folder(tmp_path / 'd', CLASSES, [replace(frame, values={'bag': 'night'})
                                               for frame in drive([(50, 50)])])
    with pytest.raises(EvaluationError, match="other classes .*1 is 'car' there, 'tree' here"):
        compare(a, b)
    with pytest.raises(EvaluationError, match=r'other classes .*\(2 there, 1 here\)'):
        compare(a, c)
    with pytest.raises(EvaluationError, match=r'no frame of .*\(drive /camera.* there, night /c'):
        compare(a, d)


def write_result(folder: Path, time_ns: int, labels: dict[int, np.ndarray]) -> None:
    """Write labels by their stamps, all recorded at one time, into a folder's `result.mcap`."""
    with BagWriter(folder / 'written') as writer:
        for stamp_ns, label in labels.items():
            message = label_message(new_header(stamp_ns, 'camera'), label)
            writer.write(serialize(LABEL_TOPIC, time_ns, message))
    (folder / 'written' / 'written.mcap').replace(folder / 'result.mcap')


class Page(HTMLParser):
    """What a browser would make of a page: its elements, and its text."""

    def __init__(self, content: str) -> None:
        super().__init__()
        self.tags, self.sources, self.text = [], [], ''
        self.feed(content)

    def handle_starttag(self, tag: str, attributes: list) -> None:
        self.tags.append(tag)
        self.sources += [value for name, value in attributes
                         if name in ('src', 'href') and not value.startswith('#')]

    def handle_data(self, data: str) -> None:
        self.text += data


def test_the_page_needs_nothing_outside_and_escapes_names(tmp_path: Path) -> None:
    classes = ('<b>road</b>', 'car"&amp;')
    frames = [[replace(frame, values={'bag': '<script>alert(1)</script>'})
               for frame in drive(hits)] for hits in ([(50, 50)] * 6, [(50, 45)] * 6)]
    folders = [write_folder(tmp_path / name, classes, one)
               for name, one in zip(('a<i>', 'b'), frames)]
    write_comparison(compare(*folders), tmp_path / 'page.html')
    page = Page((tmp_path / 'page.html').read_text())
    assert not {'script', 'b', 'i', 'link', 'img'} & set(page.tags)
    assert page.tags.count('svg') == 2 and page.sources == []
    assert page.text.count('<script>alert(1)</script>, /camera') == 6
    assert '<b>road</b>' in page.text and 'car"&amp;' in page.text and 'a<i>' in page.text
    assert 'B is worse than A: mean IoU -' in page.text
    outside = re.findall(r'https?:[^"]*', (tmp_path / 'page.html').read_text())
    assert set(outside) <= {'http://www.w3.org/2000/svg'}  # a name, which nothing fetches


def test_the_page_shows_the_labels_of_both(tmp_path: Path) -> None:
    a, b = drive([(50, 50)] * 3), drive([(50, 50), (50, 40), (50, 30)])
    found = compared(tmp_path, a, b)
    labels = np.zeros((4, 6), np.uint8), np.ones((4, 6), np.uint8)
    for name, label in zip('ab', labels):
        write_result(tmp_path / name, 2 * SECOND + DELAY_NS,
                     {1: np.full((4, 6), 2, np.uint8), 2 * SECOND: label})
    write_comparison(found, tmp_path / 'page.html')
    page = Page((tmp_path / 'page.html').read_text())
    assert page.tags.count('figure') == 2 and page.tags.count('img') == 1
    data = page.sources[0].removeprefix('data:image/png;base64,')
    picture = cv2.imdecode(np.frombuffer(base64.b64decode(data), np.uint8), 1)
    assert picture.shape == (4, 6 + 8 + 6, 3)
    assert picture[0, 0].tolist() == [0, 9, 9] and picture[0, -1].tolist() == [1, 9, 9]  # BGR
