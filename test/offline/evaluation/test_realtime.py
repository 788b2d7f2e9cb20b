# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Real-time replay, compared with what a recorder beside it received."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
import json
from pathlib import Path
import subprocess
import sys

import numpy as np
import pytest
from recordings import CAMERA, sample_drive, true_labels, write_bag
from segret_ros.files.share import default_model
from segret_ros.images.codec import decode_compressed
from segret_ros.inference import Model, Segmenter
from segret_ros.labels.metrics import ConfusionMatrix
from segret_ros.node.parameters import Parameters
from segret_ros.offline.bags import BagError, Recorded, stamp_ns
from segret_ros.offline.evaluation import realtime
from segret_ros.offline.evaluation.frames import Job, Options, Span
from segret_ros.offline.evaluation.realtime import (
    LabelScore,
    replay_realtime,
    STREAMING_TOLERANCE_NS,
    summary,
)
from segret_ros.offline.player import Answer, CameraLog

FRAMES = 30
RECORDED_AFTER_MS = 400  # the stamp: long enough for the world to move on
TIMEOUT_S = 600
# Player and recorder are told of an arrival each by its own thread: on a busy core that differs,
# but not of every one in a drive.
TOLERANCE_MS = 15
ROUNDING_MS = 1e-3


def camera_images(frames: int) -> list[Recorded]:
    """Return the first images of the sample drive."""
    return [recorded for recorded in sample_drive() if recorded.topic == CAMERA][:frames]


def write_drive(path: Path, frames: int, topics: list[str],
                time_ns: Callable[[Recorded], int]) -> Path:
    """
    Write a bag of the sample drive's first images.

    :param topics: each gets all images.
    :param time_ns: when an image was recorded.
    """
    return write_bag(path, [replace(recorded, topic=topic, time_ns=time_ns(recorded))
                            for recorded in camera_images(frames) for topic in topics])


class SampleTruth:
    """The sample drive's true labels; `asked` is what for, as (stamp, tolerance_ns)."""

    def __init__(self) -> None:
        self._labels = true_labels(sample_drive())
        self.cameras = {CAMERA: self}
        self.asked: list[tuple[int, int | None]] = []

    def nearest(self, stamp: int, tolerance_ns: int | None = None) -> np.ndarray | None:
        """Return the nearest label; None beyond the tolerance."""
        self.asked.append((stamp, tolerance_ns))
        nearest = min(self._labels, key=lambda known: abs(known - stamp))
        return self._labels[nearest] if abs(nearest - stamp) <= (tolerance_ns or 0) else None


def job_of(bag: Path, truth: object, device: str = 'auto', **options: object) -> Job:
    """Return a bag to play with the default model, and its true labels."""
    job = Job('drive', bag, bag.parent, Options(default_model(), device, **options),
              Model.load(default_model()).info.labels.names)
    job.truth = truth
    return job


@dataclass
class Run:
    """
    What was reported of a drive, and what a recorder saw.

    :param log: the player's, that the report sums up.
    :param images_s, labels_s: the recorder's arrivals in seconds, by stamp.
    """

    report: dict
    truth: SampleTruth
    log: CameraLog
    images_s: dict[int, list[float]]
    labels_s: dict[int, list[float]]

    def answers(self) -> dict[int, Answer]:
        """Return the player's answers by stamp, of images that the recorder saw too."""
        return {stamp: answer for stamp, answer in zip(sorted(self.labels_s), self.log.answers)
                if stamp in self.images_s}


@contextmanager
def recorder(arrivals: dict, labels: list[int]) -> Iterator[None]:
    """
    Record in a process of its own while the block runs; fill the arrivals at its end.

    :param labels: gets the number of labels that came.
    """
    program = Path(__file__).with_name('recorder.py')
    with subprocess.Popen([sys.executable, program, CAMERA, '/camera/segmentation/label'],
                          stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == 'ready\n'
        yield
        arrivals |= json.loads(process.communicate(f'{labels[0]}\n', timeout=TIMEOUT_S)[0])


def play(folder: Path) -> Run:
    """Play the start of the sample drive, recorded late, with a recorder beside it."""
    folder.mkdir()
    arrivals, labels, logs, truth = {}, [], [], SampleTruth()
    bag = write_drive(folder / 'bag', FRAMES, [CAMERA], lambda recorded: recorded.time_ns
                      + RECORDED_AFTER_MS * 1_000_000)

    def summed_up(cameras: list[CameraLog], score: LabelScore) -> dict:
        logs.extend(cameras)
        return summary(cameras, score)

    with recorder(arrivals, labels), pytest.MonkeyPatch.context() as patch:
        patch.setattr(realtime, 'summary', summed_up)
        report = replay_realtime(job_of(bag, truth), folder / 'node.log', lambda: None)
        labels.append(report['answered'])
    assert sorted(path.name for path in folder.iterdir()) == ['bag', 'node.log']
    images_s, labels_s = ({int(stamp): times for stamp, times in arrivals[topic].items()}
                          for topic in (CAMERA, '/camera/segmentation/label'))
    return Run(report, truth, logs[0], images_s, labels_s)


@pytest.fixture(scope='module')
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """
    Return a run whose first images and first label the recorder heard.

    Nobody waits for a recorder: DDS may make it known to the player and to the node when part of
    the drive is over. Such a run tells nothing, and is made again.
    """
    folder = tmp_path_factory.mktemp('realtime')
    first = stamp_ns(camera_images(1)[0].message().header)
    for attempt in range(6):
        run = play(folder / str(attempt))
        if first in run.images_s and first in run.labels_s:
            return run
    pytest.fail('in six runs the recorder was known too late')


def test_a_recorder_outside_counts_the_same_labels(run: Run) -> None:
    assert run.report['frames'] == FRAMES
    assert run.report['answered'] == sum(map(len, run.labels_s.values())) > 0
    assert run.report['dropped'] == FRAMES - run.report['answered']
    assert json.loads(json.dumps(run.report)) == run.report


def test_a_recorder_outside_sees_the_same_latencies(run: Run) -> None:
    answers = run.answers()
    assert all(answer.sent_s <= run.images_s[stamp][0] for stamp, answer in answers.items())
    seen_ms = [(run.labels_s[stamp][0] - run.images_s[stamp][0]) * 1e3 for stamp in answers]
    reported_ms = [answer.latency_ms for answer in answers.values()]
    assert np.abs(np.subtract(seen_ms, reported_ms)).min() < TOLERANCE_MS
    for name, percent in (('median', 50), ('p90', 90), ('max', 100)):
        assert run.report['latency_ms'][name] == pytest.approx(np.percentile(
            [answer.latency_ms for answer in run.log.answers], percent))


def test_the_age_is_the_latency_and_the_time_until_it_was_recorded(run: Run) -> None:
    age, latency, late = (run.report[name] for name in ('age_ms', 'latency_ms', 'late_ms'))
    latest = RECORDED_AFTER_MS + late['max'] + ROUNDING_MS
    for answer in run.log.answers:
        added = answer.age_ms - answer.latency_ms
        assert RECORDED_AFTER_MS - ROUNDING_MS <= added <= latest
    for name in ('median', 'max'):  # so for their quantiles
        assert RECORDED_AFTER_MS - ROUNDING_MS <= age[name] - latency[name] <= latest


def test_the_images_go_out_as_they_were_recorded(run: Run) -> None:
    stamps = [stamp_ns(recorded.message().header) for recorded in camera_images(FRAMES)]
    late_ms, first = np.array(run.log.late_ms), run.log.answers[0]
    recorded_ms = np.subtract(stamps, stamps[0]) / 1e6
    sent_ms = first.sent_s * 1e3 - late_ms[0] + recorded_ms + late_ms
    took_ms = [run.images_s[stamp][0] * 1e3 - sent for stamp, sent in zip(stamps, sent_ms)
               if stamp in run.images_s]
    assert min(late_ms) >= 0 and min(took_ms) >= -ROUNDING_MS  # none too early
    assert min(late_ms) < TOLERANCE_MS and min(took_ms) < TOLERANCE_MS


def test_labels_are_scored_by_what_was_true_at_their_stamp_and_at_their_arrival(run: Run) -> None:
    asked = list(zip(run.truth.asked[::2], run.truth.asked[1::2]))
    segmenter, truth = Segmenter(default_model()), SampleTruth()
    messages = {stamp_ns(message.header): message
                for message in (recorded.message() for recorded in camera_images(FRAMES))}
    offline, streaming, ages_ms = ConfusionMatrix(11), ConfusionMatrix(11), []
    for (stamp, tolerance_ns), (arrival, at_arrival_ns) in asked:
        assert tolerance_ns is None and at_arrival_ns == STREAMING_TOLERANCE_NS
        label = segmenter(decode_compressed(messages[stamp], Parameters.max_pixels)).label
        offline.add(truth.nearest(stamp), label)
        streaming.add(truth.nearest(arrival, 50_000_000), label)
        ages_ms.append((arrival - stamp) / 1e6)
    assert {stamp for (stamp, _), _ in asked} == run.labels_s.keys()
    assert np.median(ages_ms) == pytest.approx(run.report['age_ms']['median'])
    assert run.report['scored'] == len(asked)
    assert run.report['offline_miou'] == offline.mean_iou()
    assert run.report['streaming_miou'] == streaming.mean_iou()


def test_labels_that_come_late_score_lower_on_a_moving_drive(run: Run) -> None:
    assert run.report['streaming_miou'] < run.report['offline_miou'] - 0.05


class StillTruth:
    """A truth that never changes."""

    def __init__(self, topics: list[str]) -> None:
        self.cameras = dict.fromkeys(topics, self)

    def nearest(self, stamp: int, tolerance_ns: int | None = None) -> np.ndarray:
        """Label the left half one class, the right another."""
        return np.repeat(np.repeat(np.uint8([[2, 5]]), 240, axis=1), 360, axis=0)


def test_a_drive_too_fast_for_the_node_drops_counted_frames(tmp_path: Path) -> None:
    topics = ['/front/image_raw/compressed', '/rear/image_raw/compressed']
    bag = write_drive(tmp_path / 'bag', 40, topics, lambda recorded: recorded.time_ns // 10)
    played = []
    report = replay_realtime(job_of(bag, StillTruth(topics), 'cpu'), tmp_path / 'log',
                             lambda: played.append(1))
    assert report['frames'] == len(played) == 80
    assert 0 < report['dropped'] < 80
    assert list(report['cameras']) == topics
    for camera in report['cameras'].values():
        assert camera['frames'] == 40
        assert 0 < camera['answered'] == 40 - camera['dropped']
        assert 0 < camera['latency_ms']['median'] <= camera['latency_ms']['p90'] \
            <= camera['latency_ms']['p99'] <= camera['latency_ms']['max']
        assert camera['streaming_miou'] == camera['offline_miou'] > 0
    for name in ('answered', 'dropped', 'scored'):
        assert report[name] == sum(camera[name] for camera in report['cameras'].values())
    assert report['latency_ms']['max'] == max(
        camera['latency_ms']['max'] for camera in report['cameras'].values())


def test_a_span_without_images_is_refused(tmp_path: Path) -> None:
    bag = write_drive(tmp_path / 'bag', 2, [CAMERA], lambda recorded: recorded.time_ns)
    with pytest.raises(BagError, match=f'the bag has no image on {CAMERA} to play'):
        replay_realtime(job_of(bag, None, 'cpu', span=Span(start_s=60)), tmp_path / 'log',
                        lambda: None)
