# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""The demo's numbers, and its HTML page."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
import math
from pathlib import Path
import shlex
import sys

import numpy as np
from segret_ros.files.share import package_version
from segret_ros.inference import ModelInfo
from segret_ros.labels.metrics import ConfusionMatrix
from segret_ros.offline.bags import Damage
from segret_ros.offline.demo.drive import DrivePictures
from segret_ros.offline.evaluation.matching import BY_STAMP, BY_TIME
from segret_ros.offline.evaluation.notes import listed
from segret_ros.offline.evaluation.truth import UNMATCHED
from segret_ros.offline.machine import this_machine
from segret_ros.offline.page import class_rows, embedded, hex_color, write_page
from segret_ros.offline.player import CameraLog, Player, rate_hz

ENGINE = ('model', 'model_hash', 'device', 'engine')  # what the page shows of the node's status


@dataclass(frozen=True)
class Summary:
    """
    The demo's numbers, of all cameras together.

    :param start_s: from the node's start to the first label.
    :param memory_mb: peak of the node's process.
    :param confusion: of the node's labels against the drive's, empty where it has none.
    :param notes: on the drive and its labels, in sentences.
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
        """Return the table that the terminal shows."""
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


def truth_notes(matched: Mapping[str, int]) -> list[str]:
    """
    Describe in sentences how true labels were found, where that is unusual.

    :param matched: frames by `Frame.truth`.
    """
    unscored = {how: count for how, count in matched.items()
                if how not in ('', BY_STAMP, BY_TIME, UNMATCHED)}
    notes = []
    if matched[BY_TIME]:
        notes.append(f'{matched[BY_TIME]:,} frames were matched with their true labels by the '
                     'time of recording, as their header stamps are not reliable.')
    if unscored:
        notes.append('True labels that can not be scored against: '
                     f'{listed(unscored)}.')
    return notes


def loss_notes(logs: Iterable[CameraLog], damage: Iterable[Damage]) -> list[str]:
    """Describe in sentences why images have no label, and what of the drive is unreadable."""
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


def write_report(path: Path, drive: str, summary: Summary, info: ModelInfo, engine: dict[str, str],
                 books: list[DrivePictures]) -> None:
    """
    Write the page.

    :param engine: what the node reports of its model, device and engine, by name.
    """
    colors = {name: hex_color(color) for name, color in zip(info.labels.names, info.labels.colors)}
    confusion = summary.confusion
    write_page(
        path, 'segret_ros.offline.demo', drive=drive, info=info, colors=colors,
        sentences=sentences(summary), tiles=tiles(summary),
        classes=class_rows(info.labels, confusion) if confusion.counts.any() else [],
        film=embedded(thumb for book in books for thumb in book.film),
        frames=embedded(thumb for book in books for thumb in book.frames),
        command=shlex.join(['segret_demo', *sys.argv[1:]]), facts=facts(info, engine))


def sentences(summary: Summary) -> list[str]:
    """Summarise how many frames were labelled, how fast, and how well."""
    answered = (f'The node labelled all {summary.frames_in:,} frames' if not summary.dropped else
                f'The node labelled {summary.frames_out:,} of {summary.frames_in:,} frames')
    speed = (f'{answered}, {summary.rate_hz:.1f} a second. From a camera image to its label it '
             f'takes {summary.latency_median_ms:.0f} ms in the median, and more than '
             f'{summary.latency_p99_ms:.0f} ms for one in a hundred. The demo waits for each '
             'label; a camera does not, and the node drops the frames that it has no time for.')
    found = [speed, *summary.notes]
    if summary.confusion.counts.any():
        found.insert(1, f"Against the drive's own labels the mean IoU is "
                        f'{summary.confusion.mean_iou():.1%}, and '
                        f'{summary.confusion.pixel_accuracy():.1%} of the pixels are right.')
    elif not summary.notes:
        found.append('The drive has no true labels, so this page cannot show how accurate the '
                     'labels are.')
    return found


def tiles(summary: Summary) -> list[dict[str, str]]:
    """Return the numbers at the top of the page."""
    found = [
        ('frames', f'{summary.frames_out:,}', 'all labelled' if not summary.dropped else
         f'{summary.dropped:,} without a label', 'bad' if summary.dropped else ''),
        ('latency', f'{summary.latency_median_ms:.0f} ms',
         f'median; p99 {summary.latency_p99_ms:.0f} ms', ''),
        ('rate', f'{summary.rate_hz:.1f} Hz', 'labels a second', ''),
        ('first label', f'{summary.start_s:.1f} s', "after the node's start", ''),
        ('memory', f'{summary.memory_mb:.0f} MB', "peak of the node's process", '')]
    if summary.confusion.counts.any():
        found[1:1] = [('mean IoU', f'{summary.confusion.mean_iou():.1%}',
                       f'{summary.confusion.pixel_accuracy():.1%} of pixels right', '')]
    return [dict(zip(('name', 'value', 'note', 'mood'), tile)) for tile in found]


def facts(info: ModelInfo, engine: dict[str, str]) -> dict[str, str]:
    """Return what the demo ran with, and on what."""
    height, width = info.input_size
    known = {name: engine[name] for name in ENGINE if name in engine}
    return {**known, 'network input, height x width': f'{height} x {width}',
            'trained on': info.training_data, 'source': info.source,
            'segret_ros': package_version(), 'machine': str(this_machine()),
            'ended': datetime.now(timezone.utc).isoformat(timespec='seconds')}
