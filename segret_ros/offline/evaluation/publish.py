# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""What an evaluation leaves: every file whole, and metrics.json the last of them."""

from collections.abc import Iterable, Iterator
from datetime import datetime, timezone
import json
from pathlib import Path
import shlex
import sys

import numpy as np
from segret_ros.files.share import package_version
from segret_ros.offline.bags import open_bag
from segret_ros.offline.bags.cameras import bag_cameras
from segret_ros.offline.evaluation.errors import EvaluationError
from segret_ros.offline.evaluation.files import (
    FRAMES,
    METRICS,
    REALTIME,
    REPORT,
    RESULT,
    RUN,
    SELECT,
)
from segret_ros.offline.evaluation.frames_table import read_columns
from segret_ros.offline.evaluation.pictures import Labelled, read_labelled, Wanted
from segret_ros.offline.evaluation.report import columns_needed, write_report
from segret_ros.offline.evaluation.run import Run
from segret_ros.offline.evaluation.selection import select, write_selection
from segret_ros.offline.evaluation.thumbnails import frames_to_show, thumbnail
from segret_ros.offline.evaluation.truth import open_truth
from segret_ros.offline.machine import this_machine
from segret_ros.offline.pictures import Thumb

PLACE = ('bag', 'camera', 'stamp_ns', 'time_ns')


def publish(run: Run, metrics: dict, realtime: dict | None = None, count: int = 0) -> None:
    """
    Write an evaluation's files into its output folder and take its work away.

    :param metrics: what `Run.metrics` gives.
    :param realtime: what `replay_realtime` gives, or None.
    :param count: frames to select for labelling.
    """
    made = run.folder.made
    run.write_frames(made / FRAMES)
    run.write_result(made / RESULT)
    told = how(run, metrics)
    write_json(made / RUN, told)
    if realtime is not None:
        write_json(made / REALTIME, realtime)
    columns = read_columns(made / FRAMES, list(dict.fromkeys([*PLACE, *columns_needed(metrics)])))
    write_report(made / REPORT, metrics, columns, told, realtime,
                 thumbs(run, metrics, columns, made / RESULT))
    if count:
        write_selected(run, metrics, made, count)
    write_json(made / METRICS, metrics)
    run.folder.publish(last=METRICS)  # without it none counts
    run.folder.discard()


def check_selectable(output: Path) -> None:
    """Raise an EvaluationError where an earlier selection lies, whose labels may be corrected."""
    if (output / SELECT).exists():
        raise EvaluationError(f'{output / SELECT} exists: move it away, its labels may be '
                              'corrected already')


def write_json(path: Path, content: dict) -> None:
    """Write a JSON file."""
    path.write_text(json.dumps(content, indent=1, allow_nan=False) + '\n', encoding='utf-8')


def how(run: Run, metrics: dict) -> dict:
    """Give what run.json holds: how the evaluation was run, and on what."""
    frames = metrics['all']['frames']
    return {'command': shlex.join(['segret_evaluate', *sys.argv[1:]]),
            'segret_ros': package_version(), 'machine': str(this_machine()),
            'ended': datetime.now(timezone.utc).isoformat(timespec='seconds'),
            'seconds': round(run.seconds, 1),
            'frames_per_second': round(frames / run.seconds, 2)}


def thumbs(run: Run, metrics: dict, columns: dict[str, np.ndarray],
           result: Path) -> dict[str, list[Thumb]]:
    """Give the pictures of the report."""
    shown = frames_to_show(columns)
    rows = sorted({row for group in shown.values() for row in group})
    made: dict[tuple[str, int], Thumb] = {}
    for frame in read_rows(run, metrics, columns, rows, result):
        for name, group in shown.items():
            if frame.row in group:
                made[name, frame.row] = thumbnail(
                    name, columns, frame.row, frame.image_rgb, frame.label, frame.true_label,
                    run.info.labels)
    return {name: [made[name, row] for row in group if (name, row) in made]
            for name, group in shown.items()}


def write_selected(run: Run, metrics: dict, made: Path, count: int) -> None:
    """Write the frames that are worth labelling next."""
    columns = read_columns(made / FRAMES)
    rows = select(columns, count)
    frames = read_rows(run, metrics, columns, rows, made / RESULT)
    write_selection(made / SELECT, _named(frames, columns), run.info.labels)


def _named(frames: Iterable[Labelled],
           columns: dict[str, np.ndarray]) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    for frame in frames:
        bag, camera, stamp_ns, time_ns = (columns[name][frame.row] for name in PLACE)
        alike = (columns['stamp_ns'] == stamp_ns) & (columns['camera'] == camera)
        is_sound = stamp_ns and np.count_nonzero(alike & (columns['bag'] == bag)) == 1
        yield (f'{bag}_{camera}_{stamp_ns if is_sound else time_ns}', frame.image_rgb,
               frame.label)


def read_rows(run: Run, metrics: dict, columns: dict[str, np.ndarray], rows: Iterable[int],
              result: Path) -> Iterator[Labelled]:
    """Give the frames of some lines of frames.csv with their labels, bag by bag."""
    wanted: dict[str, list[Wanted]] = {}
    for row in rows:
        bag, camera, stamp_ns, time_ns = (columns[name][row] for name in PLACE)
        wanted.setdefault(bag, []).append(Wanted(row, camera, int(stamp_ns), int(time_ns)))
    topics = {bag['name']: bag['label_topics'] for bag in metrics['bags']}
    for job in run.jobs:
        if job.name not in wanted:
            continue
        truth = None
        if run.options.labels is not None:
            with open_bag(job.bag) as bag:
                cameras = bag_cameras(bag, list(run.options.topics))
            truth = open_truth(run.options.labels, job.bag, cameras, run.info.labels.names)
        yield from read_labelled(job.bag, result, topics[job.name], truth, wanted[job.name])
