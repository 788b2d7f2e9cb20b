# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
As driven: a bag played to the real node over DDS at the recorded times, and what came of it.

A label is scored twice: offline against the true label of its own stamp, and streaming against
what was true when it arrived. The second is the idea of Li, Wang and Ramanan, "Towards Streaming
Perception" (ECCV 2020): while the network runs the world moves on. They score the newest answer
at each true label; here each answer is scored once, so dropped frames stand beside the score and
not in it.
"""

from collections.abc import Callable, Iterable
import math
from pathlib import Path
import tempfile

import numpy as np
from segret_ros.labels.metrics import ConfusionMatrix, number
from segret_ros.offline.bags import BagWriter, open_bag, Recorded, stamp_ns
from segret_ros.offline.bags.cameras import CameraTopic
from segret_ros.offline.evaluation.frames import every_nth, Job
from segret_ros.offline.evaluation.output import Json
from segret_ros.offline.evaluation.truth import Truth
from segret_ros.offline.node_process import (
    isolate,
    label_topic,
    node_arguments,
    node_process,
    played_topics,
)
from segret_ros.offline.player import CameraLog, OUTPUTS, Player, rate_hz

# What was true at a label's arrival is known where a true label is so near: all along at 10 Hz.
STREAMING_TOLERANCE_NS = 50_000_000
RECEIVED = {name: OUTPUTS[name] for name in ('label', 'status')}


class LabelScore:
    """Labels against true ones; both scores are over the same labels."""

    def __init__(self, num_classes: int) -> None:
        self.labels = 0
        self.streaming = ConfusionMatrix(num_classes)  # against what was true at their arrival
        self.offline = ConfusionMatrix(num_classes)  # against what was true at their stamp

    def add(self, at_arrival: np.ndarray, at_stamp: np.ndarray, label: np.ndarray) -> None:
        """Score a label, (H, W) uint8 as are the true ones."""
        self.labels += 1
        self.streaming.add(at_arrival, label)
        self.offline.add(at_stamp, label)


def replay_realtime(job: Job, log: Path, progress: Callable[[], object]) -> Json:
    """
    Play a bag to the node in real time and measure what it answers.

    The labels are scored after the drive, since scoring beside the node would slow it down.

    :param log: file that gets what the node prints; the labels wait beside it for their score.
    :return: the content of realtime.json: the `summary` of all cameras together, and that of each
        under `cameras`, by topic.
    :raises BagError: when the bag can't be played.
    :raises NodeError: when the node does not start or ends.
    """
    isolate()
    cameras, options = job.cameras, job.options
    scores = {camera.topic: LabelScore(len(job.classes)) for camera in cameras}
    total = LabelScore(len(job.classes))
    with open_bag(job.bag) as bag, tempfile.TemporaryDirectory(dir=log.parent) as folder:
        drive = every_nth(bag.messages(played_topics(cameras), *options.span.limits_ns(bag)),
                          list(scores), options.span.every)
        labels = Path(folder) / 'labels'
        arguments = node_arguments(options.model, options.device, cameras, options.min_confidence)
        logs = _play(drive, cameras, labels, arguments, log, progress)
        if job.truth is not None:
            _score(labels, cameras, job.truth, scores, total)
    return {**summary(list(logs.values()), total),
            'cameras': {topic: summary([logs[topic]], scores[topic]) for topic in logs}}


def summary(logs: list[CameraLog], score: LabelScore) -> Json:
    """
    Summarize one or several cameras.

    `latency_ms` is the time from an image's publication to its label's arrival, `age_ms` from a
    label's stamp to the drive's time at its arrival, which includes the image's way into the bag.
    `late_ms` is how much later than recorded the player published the images. `untimed` labels
    have a stamp that several waiting images share, so that none can be called theirs.
    """
    answers = [answer for log in logs for answer in log.answers]
    frames = sum(log.frames for log in logs)
    return {
        'frames': frames, 'answered': len(answers), 'dropped': frames - len(answers),
        'untimed': sum(math.isnan(answer.sent_s) for answer in answers),
        'latency_ms': _distribution(answer.latency_ms for answer in answers),
        'age_ms': _distribution(answer.age_ms for answer in answers),
        'late_ms': _distribution(late_ms for log in logs for late_ms in log.late_ms),
        'rate_hz': rate_hz(logs), 'scored': score.labels,
        'streaming_miou': number(score.streaming.mean_iou()),
        'offline_miou': number(score.offline.mean_iou())}


def _distribution(values: Iterable[float]) -> dict[str, float | None]:
    values = [value for value in values if not math.isnan(value)]
    quantiles = {'median': 50, 'p90': 90, 'p99': 99, 'max': 100}
    return {name: float(np.percentile(values, percent)) if values else None
            for name, percent in quantiles.items()}


def _play(drive: Iterable[Recorded], cameras: list[CameraTopic], labels: Path,
          arguments: list[str], log: Path,
          progress: Callable[[], object]) -> dict[str, CameraLog]:
    """Play a drive and keep the labels, at the drive's time of their arrival, in a bag."""
    topics = {label_topic(camera) for camera in cameras}
    with BagWriter(labels) as writer:

        def keep_label(recorded: Recorded) -> None:
            if recorded.topic in topics:
                writer.write(recorded)

        with Player(cameras, RECEIVED, waits=False, on_message=keep_label) as player, \
                node_process(arguments, log) as node:
            player.play(drive, node, progress)
    return player.logs


def _score(labels: Path, cameras: list[CameraTopic], truth: Truth,
           scores: dict[str, LabelScore], total: LabelScore) -> None:
    owners = {label_topic(camera): camera.topic for camera in cameras}
    with open_bag(labels) as reader:
        for recorded in reader.messages(list(reader.topics)):
            camera, message = owners[recorded.topic], recorded.message()
            known = truth.cameras[camera]
            at_stamp = known.nearest(stamp_ns(message.header))
            at_arrival = known.nearest(recorded.time_ns, STREAMING_TOLERANCE_NS)
            if at_stamp is not None and at_arrival is not None:
                label = message.data.reshape(message.height, message.width)
                for score in (scores[camera], total):
                    score.add(at_arrival, at_stamp, label)
