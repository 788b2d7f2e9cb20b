# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Output folders as a comparison reads them: which frames are paired, and what is refused."""

from collections.abc import Callable
import json
from pathlib import Path

from output_folders import CLASSES, compared, drive, Frame, HALF, SECOND, write_folder
import pytest
from segret_ros.offline.evaluation.comparison import compare, Comparison
from segret_ros.offline.evaluation.output import EvaluationError, FORMAT


def frame(hits: int, stamp_ns: int, **values: object) -> Frame:
    """Return a frame of 100 pixels of which so many are right, half of each class."""
    return Frame(stamp_ns, HALF, (hits, hits), (100 - hits, 100 - hits), values)


def pairs_of(found: Comparison) -> set[tuple[int, int]]:
    """Return the hits in A and in B of the frames that changed."""
    return {tuple(round(100 * miou / (1 + miou)) for miou in (one.miou_a, one.miou_b))
            for one in found.changed}


def test_frames_are_paired_by_bag_camera_and_stamp(tmp_path: Path) -> None:
    rear = {'bag': 'x', 'camera': '/rear'}
    front, other, third = ({'bag': bag, 'camera': '/front'} for bag in 'xyz')
    a = [frame(10, 5, **rear), frame(20, 5, **front), frame(30, 4, **front),
         frame(40, 5, **other), frame(50, 5, **other)]
    b = [frame(1, 5, **third), frame(39, 5, **other), frame(29, 4, **front),
         frame(1, 6, **front), frame(9, 5, **rear), frame(49, 5, **other)]
    found = compared(tmp_path, a, b)
    assert found.counts().startswith('4 frames in both, 1 only in A, 2 only in B; 4 with')
    # What `other` has twice in both is paired in its order.
    assert pairs_of(found) == {(hits, hits - 1) for hits in (10, 30, 40, 50)}


@pytest.mark.parametrize('stamp_ns', [0, 5 * SECOND])
def test_frames_of_one_stamp_are_paired_by_recording_time(tmp_path: Path, stamp_ns: int) -> None:
    found = compared(tmp_path, *([frame(hits - number, stamp_ns, time_ns=number * SECOND)
                                  for number in numbers]
                                 for hits, numbers in ((40, range(6)), (39, (0, 2, 4)))))
    assert found.counts().startswith('3 frames in both, 3 only in A, 0 only in B')
    assert pairs_of(found) == {(hits, hits - 1) for hits in (40, 38, 36)}


def test_indistinguishable_frames_are_not_paired(tmp_path: Path) -> None:
    twice, last = [frame(hits, 5 * SECOND) for hits in (40, 10)], frame(30, 6 * SECOND)
    found = compared(tmp_path, [*twice, last], [twice[1], last])
    assert found.counts().startswith('1 frames in both, 2 only in A, 1 only in B')


def test_rejected_frames_have_no_values(tmp_path: Path) -> None:
    rejected = Frame(6 * SECOND, ('', ''), values={'problem': 'rejected', **dict.fromkeys(
        ('confidence', 'unknown', 'stability', 'flicker', 'change'), '')})
    frames = [*drive([(50, 50)] * 6), rejected]
    found = compared(tmp_path, frames, frames)
    assert (found.frames, found.labelled) == (7, 6)
    assert {one.interval for one in (*found.scores, *found.areas)} == {(0, 0)}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Write a folder of three frames."""
    return write_folder(tmp_path / 'a', CLASSES, drive([(50, 50)] * 3))


@pytest.mark.parametrize(('removed', 'message'), [
    ('', 'a: no such folder'), ('metrics.json', 'a: has no metrics.json.* --resume'),
    ('frames.csv', 'frames.csv: is missing.* --resume')])
def test_unfinished_folders_are_refused(folder: Path, removed: str, message: str) -> None:
    (folder / removed).rename(folder.with_name('removed'))
    with pytest.raises(EvaluationError, match=message):
        compare(folder, folder)


@pytest.mark.parametrize(('change', 'message'), [
    (lambda metrics: metrics.update(format=1), f'is of format 1, this version reads {FORMAT}'),
    (lambda metrics: metrics.pop('format'), 'is of format None'),
    (lambda metrics: metrics.pop('options'), 'lacks the classes, colours, options or number'),
    (lambda metrics: metrics['model'].pop('classes'), 'lacks the classes'),
    (lambda metrics: metrics['model'].update(classes=['road', 'road']), 'lacks the classes'),
    (lambda metrics: metrics['model'].update(colors=[[1, 2, 3]]), 'lacks the classes'),
    (lambda metrics: metrics.update(all=None), 'lacks the classes'),
    (lambda metrics: metrics['all'].update(frames=7), 'has 3 frames, metrics.json counts 7'),
])
def test_metrics_of_another_kind_are_refused(folder: Path, change: Callable[[dict], object],
                                             message: str) -> None:
    metrics = json.loads((folder / 'metrics.json').read_text())
    change(metrics)
    (folder / 'metrics.json').write_text(json.dumps(metrics))
    with pytest.raises(EvaluationError, match=message):
        compare(folder, folder)


@pytest.mark.parametrize(('old', 'new', 'message'), [
    ('hit_car', 'hit_cat', "column 'hit_car' is missing"),
    ('flicker', 'stability', "column 'stability' is missing, unknown or repeated"),
    ('union_car\n', 'union_car,boundary\n', "column 'boundary' is missing, unknown"),
    ('union_car\n', 'union_car,bag\n', "column 'bag' is missing, unknown or repeated"),
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
def test_damaged_tables_are_refused(folder: Path, old: str, new: str, message: str) -> None:
    path = folder / 'frames.csv'
    content = path.read_text()
    assert old in content
    path.write_bytes(content.replace(old, new, 1).encode(errors='surrogateescape'))
    with pytest.raises(EvaluationError, match=f'{path}: {message}'):
        compare(folder, folder)


def test_a_table_cut_anywhere_is_refused(folder: Path) -> None:
    path = folder / 'frames.csv'
    content = path.read_bytes()
    for size in range(len(content)):
        path.write_bytes(content[:size])
        with pytest.raises(EvaluationError, match=str(path)):
            compare(folder, folder)


@pytest.mark.parametrize(('classes', 'frame', 'message'), [
    (('road', 'tree'), Frame(0, HALF), "other classes .*1 is 'car' there, 'tree' here"),
    (('road',), Frame(0, (1,)), r'other classes .*\(2 there, 1 here\)'),
    (CLASSES, Frame(0, HALF, values={'bag': 'night'}),
     r'no frame of .*\(drive /camera.* there, night /c')])
def test_folders_without_common_classes_or_frames_are_refused(
        folder: Path, classes: tuple[str, ...], frame: Frame, message: str) -> None:
    other = write_folder(folder.with_name('b'), classes, [frame])
    with pytest.raises(EvaluationError, match=message):
        compare(folder, other)
