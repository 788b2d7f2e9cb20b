# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Two evaluations side by side, against numbers worked out by hand."""

from dataclasses import replace
import json
from pathlib import Path
import re

from html_page import Page
import numpy as np
from output_folders import CLASSES, compared, drive, Frame, HALF, SECOND, write_folder
import pytest
from segret_ros.offline.evaluation.comparison import below_limit, broken_limits, compare
from segret_ros.offline.evaluation.comparison_page import write_comparison
from segret_ros.offline.evaluation.output import EvaluationError


def test_scores_by_hand(tmp_path: Path) -> None:
    found = compared(tmp_path, drive([(50, 50), (50, 30)]), drive([(50, 50), (40, 50)]))
    # A: road 100 of 50 + 70, car 80 of 50 + 50; B: road 90 of 50 + 50, car 100 of 50 + 60.
    road, car = found.ious
    assert (road.a, road.b) == pytest.approx((100 / 120, 90 / 100))
    assert (car.a, car.b) == pytest.approx((80 / 100, 100 / 110))
    mean, accuracy = found.scores
    assert (mean.a, mean.b) == pytest.approx((49 / 60, 199 / 220))
    assert mean.points == pytest.approx(100 * (199 / 220 - 49 / 60))
    assert (accuracy.a, accuracy.b) == pytest.approx((180 / 200, 190 / 200))
    assert found.counts() == (
        '2 frames in both, 0 only in A, 0 only in B; 2 with true labels in both')
    # Two blocks are too few for an interval, and so for a claim.
    assert mean.interval is None and mean.verdict == 'no interval' and not mean.sign
    assert re.search(r'^mean IoU +81.67% +90.45% +\+8.79 ', found.table(), re.MULTILINE)
    # Of the frame alone: road 50 of 70 and car 30 of 50, then road 40 of 50 and car 50 of 60.
    assert [(frame.stamp_ns, frame.miou_a, frame.miou_b) for frame in found.changed] == [
        (SECOND, pytest.approx(23 / 35), pytest.approx(49 / 60))]


def test_an_absent_class_is_left_out_of_the_mean_and_breaks_no_limit(tmp_path: Path) -> None:
    a = [Frame(0, (1, 0), (90, 0), (100, 10))]
    b = [Frame(0, (1, 0), (100, 0), (100, 0))]
    found = compared(tmp_path, a, b)
    assert (found.scores[0].a, found.scores[0].b) == pytest.approx((0.45, 1))
    assert found.ious[1].a == 0 and np.isnan(found.ious[1].b)
    assert re.search(r'IoU of car +0.00% +- +- +-$', found.table(), re.MULTILINE)
    assert broken_limits(found, no_worse_than=0) == []


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
    assert found.changed == [] and broken_limits(found, no_worse_than=0) == []


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


def test_without_true_labels_behaviour_and_areas_are_compared(tmp_path: Path) -> None:
    a = [Frame(place * SECOND, HALF, values={'flicker': 0.02 + place / 1e4})
         for place in range(8)]
    b = [Frame(place * SECOND, (0.5 + place / 100, 0.5 - place / 100),
               values={'flicker': 0.01, 'stability': '' if place == 0 else 0.98,
                       'confidence': 0.8 + place / 1000}) for place in range(8)]
    found = compared(tmp_path, a, b)
    assert (found.scores, found.ious, found.labelled) == ([], [], 0)
    verdicts = {one.name: one.verdict for one in found.behaviour}
    assert verdicts == {'consistency': 'no interval', 'stability': 'better',
                        'flicker': 'better', 'confidence': 'lower'}
    stability = found.behaviour[1]
    assert (stability.a, stability.b) == pytest.approx((0.95, 0.98))  # without the first frame
    assert found.areas[1].points == pytest.approx(-3.5, abs=1e-4)
    assert found.verdict() == ('Without true labels neither can be called better; B: better in '
                               'stability, flicker; lower in confidence.')
    most = found.changed[0]
    assert (most.stamp_ns, most.class_name) == (7 * SECOND, 'road')
    assert most.moved == pytest.approx(0.07)
    assert len(found.changed) == 7  # the first frame is the same


def test_the_ten_most_changed_frames_are_listed(tmp_path: Path) -> None:
    a = drive([(50, 50)] * 20)
    b = drive([(50 - place, 50) for place in range(20)])
    found = compared(tmp_path, a, b)
    assert [frame.stamp_ns // SECOND for frame in found.changed] == list(range(19, 9, -1))
    assert 'drive  /camera/image_raw/compressed  19.000000000  mean IoU 100.00% to' \
        in found.table()


def test_only_frames_labelled_in_both_are_scored(tmp_path: Path) -> None:
    a = drive([(50, 50), (50, 40), (10, 10)])
    b = [*drive([(50, 50), (50, 50)]), Frame(2 * SECOND, HALF)]
    found = compared(tmp_path, a, b)
    assert (found.frames, found.labelled) == (3, 2)
    assert found.scores[1].a == pytest.approx(190 / 200)


def test_unknown_pixels_count_as_wrong(tmp_path: Path) -> None:
    # 40 hits, 30 wrong and 30 unknown of 100 pixels: the unions hold 70 and twice 30.
    unknown = [Frame(0, HALF, (40, 0), (70, 60), {'pixel_accuracy': 0.4})]
    found = compared(tmp_path, [*unknown, *drive([(0, 0)] * 2)[1:]], drive([(0, 0), (50, 50)]))
    assert (found.scores[1].a, found.scores[1].b) == (0.2, 0.5)


def test_different_options_are_noted(tmp_path: Path) -> None:
    found = compared(tmp_path, drive([(50, 50)] * 2), drive([(50, 50)] * 2),
                     options={'every': 2}, model={'hash': 'a'})
    assert found.notes() == ['A and B are of the same model file.',
                             'A and B have different options: every is 1 in A, 2 in B.',
                             'Stability and flicker are left out: the frames of A and B are '
                             'differently far apart.']
    assert [one.name for one in found.behaviour] == ['confidence']


def test_limits_that_b_breaks(tmp_path: Path) -> None:
    random = np.random.default_rng(4)
    a = drive([(50, 50 - int(random.integers(0, 3))) for _ in range(20)])
    b = drive([(50, 40 - int(random.integers(0, 3))) for _ in range(20)])
    found = compared(tmp_path, a, b)
    mean, car = found.scores[0], found.ious[1]
    assert broken_limits(found) == []
    assert broken_limits(found, fail_under=79, no_worse_than=25) == []
    assert broken_limits(found, fail_under=90) == [
        f'mean IoU of B is {mean.b:.2%}, {90 - 100 * mean.b:.2g} points below the 90% of '
        '--fail-under']
    broken = broken_limits(found, fail_under=90, no_worse_than=1)
    assert [line.split(' of B')[0] for line in broken] == [
        'mean IoU', 'mean IoU', 'IoU of road', 'IoU of car']
    assert broken[3].startswith(
        f'IoU of car of B is {-car.points:.4g} points worse than of A ({car.a:.2%} to '
        f'{car.b:.2%}), --no-worse-than allows 1; the 95% interval -2')
    assert broken[3].endswith('supports it')
    barely = broken_limits(found, no_worse_than=-car.points - 1e-4)
    assert len(barely) == 1 and barely[0].endswith('shows a loss, but not by so much')
    assert broken_limits(found, no_worse_than=-car.points) == []  # at the limit
    assert broken_limits(found, fail_under=100 * mean.b) == []


def test_a_loss_that_may_be_chance_is_marked_as_such(tmp_path: Path) -> None:
    hits = [(50, 50 - 10 * (place % 2)) for place in range(12)]
    other = [(50, 50 - 10 * (place % 3 < 2)) for place in range(12)]
    found = compared(tmp_path, drive(hits), drive(other))
    broken = broken_limits(found, no_worse_than=0)
    assert len(broken) == 3
    assert all(line.endswith('contains zero: it may be chance') for line in broken)
    few = replace(found, ious=tuple(replace(one, interval=None) for one in found.ious))
    told = broken_limits(few, no_worse_than=0)[1]
    assert told.endswith('too few blocks of frames for an interval')


def test_limits_need_true_labels(tmp_path: Path) -> None:
    found = compared(tmp_path, drive([(50, 50)]), [Frame(0, HALF)])
    with pytest.raises(EvaluationError, match=f'^{tmp_path / "b"} has no true labels, and a limit '
                                              'needs .* --labels TOPIC or --labels FOLDER'):
        broken_limits(found, fail_under=50)
    assert broken_limits(found) == []


@pytest.mark.parametrize('limits', [{'fail_under': 0.7}, {'fail_under': 101},
                                    {'fail_under': float('nan')}, {'no_worse_than': -1},
                                    {'no_worse_than': float('nan')}])
def test_limits_out_of_range_are_refused(tmp_path: Path, limits: dict) -> None:
    found = compared(tmp_path, drive([(50, 50)]), drive([(50, 50)]))
    with pytest.raises(EvaluationError, match=f'is {list(limits.values())[0]:g}: it must be'):
        broken_limits(found, **limits)


def test_the_limit_of_one_evaluation(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / 'a', CLASSES, drive([(50, 30)]))
    metrics = json.loads((folder / 'metrics.json').read_text())
    assert below_limit(metrics, 65) == []
    assert below_limit(metrics, 66) == [
        'mean IoU is 65.71%, 0.29 points below the 66% of --fail-under']
    metrics['all']['scores'] = None
    with pytest.raises(EvaluationError, match='no mean IoU, and a limit needs true labels'):
        below_limit(metrics, 66)


def test_the_page_needs_nothing_outside_and_escapes_names(tmp_path: Path) -> None:
    classes = ('<b>road</b>', 'car"&amp;')
    frames = [[replace(frame, values={'bag': '<script>alert(1)</script>'})
               for frame in drive(hits)] for hits in ([(50, 50)] * 6, [(50, 45)] * 6)]
    folders = [write_folder(tmp_path / name, classes, one)
               for name, one in zip(('a<i>', 'b'), frames)]
    write_comparison(compare(*folders), tmp_path / 'page.html')
    page = Page(tmp_path / 'page.html')
    assert not {'b', 'i', 'link', 'img'} & set(page.tags) and page.tags.count('svg') == 2
    assert page.text.count('<script>alert(1)</script>, /camera') == 6
    assert '<b>road</b>' in page.text and 'car"&amp;' in page.text and 'a<i>' in page.text
    assert 'B is worse than A: mean IoU -' in page.text
