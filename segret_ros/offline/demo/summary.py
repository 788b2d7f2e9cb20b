# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""The demo's numbers."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
import math

import numpy as np
from segret_ros.labels.metrics import ConfusionMatrix
from segret_ros.offline.bags import Damage
from segret_ros.offline.evaluation.matching import BY_STAMP, BY_TIME
from segret_ros.offline.evaluation.notes import listed
from segret_ros.offline.evaluation.truth import UNMATCHED
from segret_ros.offline.player import CameraLog, Player, rate_hz


@dataclass(frozen=True)
class Summary:
    """
    The demo's numbers, of all cameras together.

    :param start_s: from the node's start to the first label.
    :param memory_mb: peak of the node's process.
    :param confusion: of the node's labels against the drive's, empty where it has none.
    :param notes: what to know of the drive's labels, in sentences.
    """

    frames_in: int
    frames_out: int
    dropped: int
    latency_median_ms: float
    latency_p99_ms: float
    rate_hz: float
    start_s: float
    memory_mb: float
    confusion: ConfusionMatrix
    notes: tuple[str, ...] = ()

    def rows(self) -> dict[str, str]:
        """Return the table that the terminal and the report show."""
        rows = {
            'frames in / out / dropped': f'{self.frames_in} / {self.frames_out} / {self.dropped}',
            'frames per second': f'{self.rate_hz:.1f}',
            'latency, camera to label': f'median {self.latency_median_ms:.0f} ms, '
                                        f'p99 {self.latency_p99_ms:.0f} ms',
            'start to first label': f'{self.start_s:.1f} s',
            'memory of the node': f'{self.memory_mb:.0f} MB',
        }
        if self.confusion.counts.any():
            rows |= {"mean IoU against the drive's labels": f'{self.confusion.mean_iou():.1%}',
                     'pixel accuracy': f'{self.confusion.pixel_accuracy():.1%}'}
        return rows


def told(matched: Mapping[str, int]) -> list[str]:
    """
    Return in sentences what is odd about how frames found their true labels.

    :param matched: frames by `Frame.truth`.
    """
    unscored = {how: count for how, count in matched.items()
                if how not in ('', BY_STAMP, BY_TIME, UNMATCHED)}
    notes = []
    if matched[BY_TIME]:
        notes.append(f'{matched[BY_TIME]:,} frames were matched with their true labels by the '
                     'time of recording, for their header stamps can not be relied on.')
    if unscored:
        notes.append('True labels that can not be scored against: '
                     f'{listed(unscored)}.')
    return notes


def lost(logs: Iterable[CameraLog], damage: Iterable[Damage]) -> list[str]:
    """Return in sentences why images have no label, and what of the drive can't be read."""
    notes = [f'{_frames(log.rejected[fault])} not labelled: {text}.'
             for log in logs for fault, text in log.reasons.items()]
    return notes + [f'{item.place}: {item.problem}'
                    f'{f" ({item.count:,} messages lost)" if item.count else ""}.'
                    for item in damage]


def _frames(count: int) -> str:
    return '1 frame was' if count == 1 else f'{count:,} frames were'


def summarise(player: Player, memory_mb: float, confusion: ConfusionMatrix,
              notes: Sequence[str] = ()) -> Summary:
    """Return the numbers of a drive that was played."""
    answers = [answer for log in player.logs.values() for answer in log.answers]
    latencies = [answer.latency_ms for answer in answers
                 if not math.isnan(answer.latency_ms)] or [float('nan')]
    frames = sum(log.frames for log in player.logs.values())
    first_s = min((answer.arrived_s for answer in answers), default=float('nan'))
    return Summary(
        frames_in=frames, frames_out=len(answers), dropped=frames - len(answers),
        latency_median_ms=float(np.median(latencies)),
        latency_p99_ms=float(np.percentile(latencies, 99)),
        rate_hz=rate_hz(player.logs.values()), start_s=first_s - player.started_s,
        memory_mb=memory_mb, confusion=confusion, notes=tuple(notes))
