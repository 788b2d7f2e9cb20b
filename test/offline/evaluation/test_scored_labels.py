# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""True labels of real bags: how they are matched, and what unusable ones cost."""

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
import random

import cv2
from mutation import mutate
import numpy as np
import pytest
from recordings import (
    CAMERA,
    evaluate,
    first,
    images,
    metrics,
    raw_label,
    renamed,
    restamped,
    sample_drive,
    TRUE_LABEL,
    true_labels,
    write_bag,
)
from segret_ros.inference import Model
from segret_ros.inference.engines.engine import Engine, open_engine
from segret_ros.offline.bags import open_bag, serialize, stamp_ns
from segret_ros.offline.evaluation import evaluate as loop
from segret_ros.offline.evaluation.output import read_columns

FRAMES = 4
START_NS = 1_700_000_000 * 10 ** 9


@pytest.fixture(autouse=True)
def one_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Open the model once."""
    monkeypatch.setattr(loop, 'open_validated_engine', engine)


@cache
def engine(model: Model, device: str, streams: int | None) -> Engine:
    return open_engine(model, device)


def test_labels_are_matched_by_the_nearest_stamp(tmp_path: Path) -> None:
    drive = first(6)
    stamps = list(images(drive))
    labels = true_labels(drive)
    moved = {stamps[0]: 9_000_000, stamps[1]: -9_000_000, stamps[2]: 12_000_000}
    folder = tmp_path / 'labels'
    folder.mkdir()
    for stamp in stamps[:4]:
        cv2.imwrite(str(folder / f'frame_{stamp + moved.get(stamp, 0)}.png'), labels[stamp])
    bag = write_bag(tmp_path / 'drive', [item for item in drive if item.topic == CAMERA])
    evaluate(bag, '--labels', folder, '--output', tmp_path / 'out')
    scores = metrics(tmp_path / 'out')['all']['scores']
    assert (scores['matched'], scores['unmatched'], scores['unmatched_labels']) == (3, 3, 1)
    miou = read_columns(tmp_path / 'out' / 'frames.csv')['miou']
    assert np.isnan(miou).tolist() == [False, False, True, False, True, True]


def sparse(stamp: Callable[[int], int], label: Callable[[int, bytes], bytes] = lambda _, png: png,
           encoding: str = 'jpeg') -> list:
    """Return five frames that look different, with the stamps and labels to be tried."""
    found = []
    for topic, step in ((CAMERA, 'image'), (TRUE_LABEL, 'label')):
        own = [item for item in sample_drive() if item.topic == topic][::25]
        for number, item in enumerate(own):
            message = item.message()
            message.header.stamp.sec, message.header.stamp.nanosec = divmod(stamp(number), 10 ** 9)
            if step == 'label':
                message.data = np.frombuffer(label(number, message.data.tobytes()), np.uint8)
            else:
                message.format = encoding
            found.append(serialize(topic, item.time_ns, message))
    return sorted(found, key=lambda item: item.time_ns)


def seconds(number: int) -> int:
    """Return stamps that are sound."""
    return (number + 1) * 10 ** 9


def scores_of(folder: Path, drive: list, *arguments: object, code: int = 0) -> tuple[dict, str]:
    """Evaluate a drive with its labels; give the scores and what is printed."""
    told = evaluate(write_bag(folder / 'drive', drive), '--labels', TRUE_LABEL, '--device', 'cpu',
                    '--output', folder / 'out', *arguments, code=code)
    return metrics(folder / 'out')['all']['scores'], told


@pytest.fixture(scope='module')
def sound(tmp_path_factory: pytest.TempPathFactory) -> dict:
    """Return the scores of the frames that `sparse` takes."""
    return scores_of(tmp_path_factory.mktemp('sound'), sparse(seconds))[0]


@pytest.mark.parametrize('stamp', [lambda _: 0, lambda _: 1_700_000_000 * 10 ** 9,
                                   lambda number: 10 ** 9 * max(number, 2)],
                         ids=['zero', 'equal', 'stuck at first'])
def test_meaningless_stamps_score_as_sound_ones(stamp: Callable[[int], int], sound: dict,
                                                tmp_path: Path) -> None:
    scores, told = scores_of(tmp_path, sparse(stamp))
    assert scores['matched_by_recording_time'] >= 3
    assert {**scores, 'matched_by_recording_time': 0} == sound
    page = (tmp_path / 'out' / 'report.html').read_text()
    for text in (told, page):
        assert 'by recording time (within 10 ms), since their header stamps are unreliable' in text
    table = read_columns(tmp_path / 'out' / 'frames.csv')
    assert list(table['truth']).count('time of recording') == scores['matched_by_recording_time']


def cut(number: int, png: bytes) -> bytes:
    """Return the labels, the third of them cut in its middle."""
    return png[:len(png) // 2] if number == 2 else png


def relabelled(change: Callable[[np.ndarray], np.ndarray],
               ending: str = '.png') -> Callable[[int, bytes], bytes]:
    """Return what makes another file of the third label."""
    def made(number: int, png: bytes) -> bytes:
        if number != 2:
            return png
        label = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_UNCHANGED)
        return cv2.imencode(ending, change(label))[1].tobytes()
    return made


@pytest.mark.parametrize('label, reason', [
    (lambda number, png: b'' if number == 2 else png, 'empty'),
    (cut, ''),
    (relabelled(lambda label: label, '.jpg'), 'lossy'),
    (relabelled(lambda label: label[::2, ::2]), 'another size than its frame'),
    (relabelled(lambda label: label + np.uint8(11)), "ids beyond the model's classes"),
], ids=['empty', 'cut', 'lossy', 'small', 'beyond'])
def test_an_unusable_label_costs_its_own_frame_only(label: Callable[[int, bytes], bytes],
                                                    reason: str, tmp_path: Path) -> None:
    scores, told = scores_of(tmp_path, sparse(seconds, label))
    (kind, count), = scores['unscored'].items()
    assert reason in kind and count == 1
    assert (scores['matched'], scores['unmatched'], scores['unmatched_labels']) == (4, 0, 0)
    table = read_columns(tmp_path / 'out' / 'frames.csv')
    assert list(table['truth']) == ['stamp', 'stamp', kind, 'stamp', 'stamp']
    assert np.isnan(table['miou']).tolist() == [False, False, True, False, False]
    time_ns = table['time_ns'][2]
    for text in (told, (tmp_path / 'out' / 'report.html').read_text()):
        assert f'{TRUE_LABEL} at {time_ns} ns' in text


def test_labels_that_are_all_lossy_give_no_score(tmp_path: Path) -> None:
    def lossy(_: int, png: bytes) -> bytes:
        return relabelled(lambda label: label, '.jpg')(2, png)

    scores, told = scores_of(tmp_path, sparse(seconds, lossy), code=1)
    assert scores['mean_iou'] is None and sum(scores['unscored'].values()) == 5
    assert 'no frame could be scored' in told and 'lossy' in told


def test_a_broken_message_is_counted_and_the_next_bag_evaluated(tmp_path: Path) -> None:
    drive = [replace(item, data=item.data[:60]) if number in (2, 5) else item
             for number, item in enumerate(sparse(seconds))]
    bag = write_bag(tmp_path / 'whole', first(FRAMES))
    evaluate(write_bag(tmp_path / 'broken', drive), bag, '--labels', TRUE_LABEL, '--device', 'cpu',
             '--output', tmp_path / 'out')
    broken, whole = metrics(tmp_path / 'out')['bags']
    assert whole['frames'] == FRAMES and not whole['damage'] and not whole['faults']
    lost = sum(item['count'] for item in broken['damage'] + broken['faults'])
    assert lost == 2 and metrics(tmp_path / 'out')['all']['scores']['matched'] == FRAMES + 3


def test_each_of_two_cameras_has_its_labels(tmp_path: Path) -> None:
    drive = first(4)
    truth = true_labels(drive)
    both = []
    for item in drive:
        if item.topic == CAMERA:
            both += [renamed(item, f'/{name}/image_raw/compressed') for name in ('front', 'rear')]
        else:
            stamp = stamp_ns(item.message().header)
            both += [raw_label('/front/label', item.time_ns, truth[stamp]),
                     raw_label('/rear/label', item.time_ns, np.zeros_like(truth[stamp]))]
    bag = write_bag(tmp_path / 'drive', both)
    evaluate(bag, '--labels', 'label', '--output', tmp_path / 'out')
    cameras = metrics(tmp_path / 'out')['cameras']
    front, rear = (cameras[f'/{name}/image_raw/compressed'] for name in ('front', 'rear'))
    assert front['scores']['mean_iou'] > 0.4 > 0.2 > rear['scores']['mean_iou']
    assert front['class_areas'] == rear['class_areas']
    assert metrics(tmp_path / 'out')['all']['frames'] == 8
    with open_bag(tmp_path / 'out' / 'result.mcap') as result:
        assert len(list(result.messages(['/rear/segmentation/label']))) == 4


@pytest.mark.parametrize('seed', range(6))
def test_under_random_damage_each_frame_is_scored_or_counted(seed: int, tmp_path: Path) -> None:
    chance = random.Random(seed)
    stamps = {topic: chance.choice([
        lambda _: 0, lambda _: START_NS, lambda number: START_NS - 2 * 10 ** 9 * number,
        lambda number: START_NS + 10 ** 8 * number]) for topic in (CAMERA, TRUE_LABEL)}
    drive = []
    for number, item in enumerate(first(3)):
        message = restamped(item, stamps[item.topic](number // 2)).message()
        kind = chance.choice(('sound', 'sound', 'damaged', 'damaged', 'missing', 'twice'))
        if kind == 'damaged':
            message.data = np.frombuffer(mutate(message.data.tobytes(), chance), np.uint8)
        times_ns = [item.time_ns, item.time_ns + chance.randrange(10 ** 8)]
        for time_ns in times_ns[:{'missing': 0, 'twice': 2}.get(kind, 1)]:
            drive.append(serialize(item.topic, time_ns, message))
    bag = write_bag(tmp_path / 'drive', sorted(drive, key=lambda item: item.time_ns))
    before = [path.read_bytes() for path in sorted(bag.iterdir())]
    printed = evaluate(bag, '--labels', TRUE_LABEL, '--device', 'cpu', '--output',
                       tmp_path / 'out', code=None)
    assert 'Traceback' not in printed
    assert [path.read_bytes() for path in sorted(bag.iterdir())] == before
    found = metrics(tmp_path / 'out')['all']
    scores = found['scores']
    assert scores['unmatched'] >= 0 and scores['unmatched_labels'] >= 0
    assert scores['matched'] + scores['unmatched'] + sum(scores['unscored'].values()) == \
        found['frames']
    assert sum(found['rejected'].values()) == found['problems'].get('rejected', 0)
