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
from segret_ros.inference import Model
from segret_ros.labels.metrics import ConfusionMatrix, number
from segret_ros.offline.bags import BagWriter, open_bag, Recorded, stamp_ns
from segret_ros.offline.bags.cameras import CameraTopic
from segret_ros.offline.evaluation.frames import every_nth, Span
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
    """
    Labels against true ones; both scores are over the same labels.

    :param num_classes: classes, ids 0..num_classes - 1.
    """

    def __init__(self, num_classes: int) -> None:
        self.labels = 0
        self.streaming = ConfusionMatrix(num_classes)  # against what was true at their arrival
        self.offline = ConfusionMatrix(num_classes)  # against what was true at their stamp

    def add(self, at_arrival: np.ndarray, at_stamp: np.ndarray, label: np.ndarray) -> None:
        """Score a label, (H, W) uint8 as are the true ones."""
        self.labels += 1
        self.streaming.add(at_arrival, label)
        self.offline.add(at_stamp, label)

    def merge(self, other: 'LabelScore') -> None:
        """Add another camera's."""
        self.labels += other.labels
        self.streaming.counts += other.streaming.counts
        self.offline.counts += other.offline.counts


def replay_realtime(bag: Path, model: Path, device: str, cameras: list[CameraTopic],
                    truth: Truth | None, log: Path, progress: Callable[[], object],
                    span: Span = Span(), min_confidence: float = 0.0) -> dict:
    """
    Play a drive to the node in real time and measure what it answers.

    The labels are scored after the drive, for scoring beside the node would slow it down.

    :param truth: None leaves the labels unscored.
    :param log: file that gets what the node prints; the labels wait beside it for their score.
    :param progress: called after each image.
    :param span: frames of the bag to play.
    :param min_confidence: 0..1; less probable pixels become unknown.
    :return: the content of realtime.json: what `summary` gives for all cameras together, and for
        each under `cameras`, by topic.
    :raises BagError: when the bag can't be played.
    :raises NodeError: when the node does not start or ends.
    """
    isolate()
    num_classes = len(Model.load(model).info.labels)
    with open_bag(bag) as reader, tempfile.TemporaryDirectory(dir=log.parent) as folder:
        drive = every_nth(reader.messages(played_topics(cameras), *span.limits_ns(reader)),
                          [camera.topic for camera in cameras], span.every)
        labels = Path(folder) / 'labels'
        arguments = node_arguments(model, device, cameras, min_confidence)
        logs = _play(drive, cameras, labels, arguments, log, progress)
        scores = {topic: LabelScore(num_classes) for topic in logs}
        if truth is not None:
            _score(labels, cameras, truth, scores)
    total = LabelScore(num_classes)
    for score in scores.values():
        total.merge(score)
    return {**summary(list(logs.values()), total),
            'cameras': {topic: summary([logs[topic]], scores[topic]) for topic in logs}}


def summary(logs: list[CameraLog], score: LabelScore) -> dict:
    """
    Summarize one or several cameras.

    `latency_ms` is the time from an image's publication to its label's arrival, `age_ms` from a
    label's stamp to the drive's time at its arrival: with what the image took to be recorded.
    `late_ms` tells how much later than recorded the images were published: the player's own fault.
    `untimed` are labels of a stamp that several waiting images had: nothing tells which one's.
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
           scores: dict[str, LabelScore]) -> None:
    owners = {label_topic(camera): camera.topic for camera in cameras}
    with open_bag(labels) as reader:
        for recorded in reader.messages(list(reader.topics)):
            camera, message = owners[recorded.topic], recorded.message()
            at_stamp = truth.nearest(camera, stamp_ns(message.header))
            at_arrival = truth.nearest(camera, recorded.time_ns, STREAMING_TOLERANCE_NS)
            if at_stamp is not None and at_arrival is not None:
                scores[camera].add(at_arrival, at_stamp,
                                   message.data.reshape(message.height, message.width))
