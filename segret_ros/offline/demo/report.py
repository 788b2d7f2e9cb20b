# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""The demo's HTML page: one file, nothing outside."""

from datetime import datetime, timezone
from pathlib import Path
import shlex
import sys

from segret_ros.files.share import package_version
from segret_ros.inference import ModelInfo
from segret_ros.offline.demo.drive_pictures import DrivePictures
from segret_ros.offline.demo.summary import Summary
from segret_ros.offline.machine import this_machine
from segret_ros.offline.page import class_rows, embedded, hex_color, write_page

ENGINE = ('model', 'model_hash', 'device', 'engine')  # of what the node tells


def write_report(path: Path, drive: str, summary: Summary, info: ModelInfo, engine: dict[str, str],
                 books: list[DrivePictures]) -> None:
    """
    Write the page.

    :param drive: its name.
    :param engine: what the node tells of its model, device and engine, by name.
    :param books: the pictures of each camera.
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
    """Return the verdict: how many frames were labelled, how fast, and how well."""
    answered = (f'The node labelled all {summary.frames_in:,} frames' if not summary.dropped else
                f'The node labelled {summary.frames_out:,} of {summary.frames_in:,} frames')
    speed = (f'{answered}, {summary.rate_hz:.1f} a second. From a camera image to its label it '
             f'took {summary.latency_median_ms:.0f} ms in the median, and for one in a hundred '
             f'more than {summary.latency_p99_ms:.0f} ms. The demo waits for each label; a camera '
             'does not, and then the node drops what it has no time for.')
    found = [speed, *summary.notes]
    if summary.confusion.counts.any():
        found.insert(1, f"Against the drive's own labels the mean IoU is "
                        f'{summary.confusion.mean_iou():.1%}, and '
                        f'{summary.confusion.pixel_accuracy():.1%} of the pixels are right.')
    elif not summary.notes:
        found.append('The drive has no true labels, so this page does not tell how right the '
                     'labels are.')
    return found


def tiles(summary: Summary) -> list[dict[str, str]]:
    """Return the numbers at the top of the page."""
    found = [
        ('frames', f'{summary.frames_out:,}', 'all labelled' if not summary.dropped else
         f'{summary.dropped:,} never answered', 'bad' if summary.dropped else ''),
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
    """Return what the run was made with and on."""
    height, width = info.input_size
    known = {name: engine[name] for name in ENGINE if name in engine}
    return {**known, 'network input, height x width': f'{height} x {width}',
            'trained on': info.training_data, 'source': info.source,
            'segret_ros': package_version(), 'machine': str(this_machine()),
            'ended': datetime.now(timezone.utc).isoformat(timespec='seconds')}
