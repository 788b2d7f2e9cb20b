# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""The measurement: camera frames, runs in turns, times of each stage."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
import time
from types import SimpleNamespace

import cv2
import numpy as np
from segret_ros.files.share import share_directory
from segret_ros.images.codec import decode_compressed
from segret_ros.inference import ModelInfo, Segmenter
from segret_ros.labels.visualization import colorize
from segret_ros.offline.bags import read_bag
from segret_ros.offline.machine import Machine, memory_mb, this_machine

IMAGE = '/camera/image_raw/compressed'
EVERY = 13  # of the sample drive's 101 frames: 8 are measured with
WARM_UP_RUNS = 3
LARGEST_SIDE = 16384  # pixels of a camera
SUMMANDS = ('resize', 'network', 'labels', 'confidence')  # of the total: `Segmenter`'s stages
STAGES = (*SUMMANDS, 'total', 'decode', 'colour')


@dataclass(frozen=True)
class Result:
    """
    The times of one model on one device.

    :param load_ms: from the file to a segmenter that is ready for its first image.
    :param times_ms: by `STAGES`, (runs,) each.
    """

    path: Path
    info: ModelInfo
    engine: str
    device: str
    load_ms: float
    times_ms: dict[str, np.ndarray]

    def statistics(self, stage: str) -> dict[str, float]:
        """Return the median, p90 and p99 of a stage in ms."""
        values = np.percentile(self.times_ms[stage], (50, 90, 99))
        return dict(zip(('median', 'p90', 'p99'), values.tolist()))

    def images_per_second(self) -> float:
        """Return how many images the median total allows for, one at a time."""
        return 1e3 / self.statistics('total')['median']

    def share_around_network(self) -> float:
        """Return the share of the total that is not spent in the network, 0..1."""
        return float(np.median(1 - self.times_ms['network'] / self.times_ms['total']))


@dataclass(frozen=True)
class Benchmark:
    """
    A measurement.

    :param camera_size: (height, width) of the frames.
    :param results: one, or two that ran in turns.
    :param equal_labels: share of pixels that both label alike; None for one result, or where the
        classes differ.
    :param peak_memory_mb: of the process, hence of both where there are two.
    :param load_added_mb: added by loading the model; None for two, which share libraries.
    """

    machine: Machine
    camera_size: tuple[int, int]
    results: list[Result]
    equal_labels: float | None
    peak_memory_mb: float
    load_added_mb: float | None

    @property
    def runs(self) -> int:
        """Return how often each was measured."""
        return len(self.results[0].times_ms['total'])


def benchmark(candidates: list[tuple[Path, str]], camera_size: tuple[int, int] | None, runs: int,
              progress: Callable) -> Benchmark:
    """
    Measure one model, or two in turns on the same frames.

    :param candidates: one or two of model file and device.
    :param camera_size: (height, width); the first model's input size if left out.
    :param runs: of each candidate, after `WARM_UP_RUNS`.
    :param progress: wraps the numbers of the runs, as tqdm does.
    :raises ValueError: for runs or a size out of range, a model or a device that can't be used.
    """
    if runs < 1:
        raise ValueError(f'--runs is {runs}: at least 1 is needed')
    if camera_size is not None and not all(1 <= side <= LARGEST_SIDE for side in camera_size):
        raise ValueError(f'--size is {camera_size[0]} x {camera_size[1]}: height and width must '
                         f'be 1..{LARGEST_SIDE} pixels')
    before_mb = memory_mb('VmRSS')
    segmenters, load_ms = zip(*[load(*candidate) for candidate in candidates])
    added_mb = memory_mb('VmRSS') - before_mb if len(candidates) == 1 else None
    camera_size = camera_size or segmenters[0].info.input_size
    times, equal = run_in_turns(segmenters, camera_frames(camera_size), runs, progress)
    results = [Result(path, segmenter.info, segmenter.engine.name, segmenter.engine.device, ms,
                      stages)
               for (path, _), segmenter, ms, stages in zip(candidates, segmenters, load_ms, times)]
    return Benchmark(this_machine(), camera_size, results, equal, memory_mb('VmHWM'), added_mb)


def load(path: Path, device: str) -> tuple[Segmenter, float]:
    """Return a segmenter that has run once, and the ms that took."""
    start = time.perf_counter()
    segmenter = Segmenter(path, device)
    segmenter.warm_up()
    return segmenter, (time.perf_counter() - start) * 1e3


def camera_frames(size: tuple[int, int]) -> list[np.ndarray]:
    """Return frames of the sample drive as JPEG files of a camera's size (height, width)."""
    recorded = read_bag(share_directory() / 'data' / 'sample_drive', [IMAGE])
    frames = []
    for item in islice(recorded, 0, None, EVERY):
        image = cv2.imdecode(item.message().data, cv2.IMREAD_COLOR)
        image = cv2.resize(image, size[::-1], interpolation=cv2.INTER_CUBIC)
        frames.append(cv2.imencode('.jpg', image)[1])
    return frames


def run_in_turns(segmenters: tuple[Segmenter, ...], frames: list[np.ndarray], runs: int,
                 progress: Callable) -> tuple[list[dict[str, np.ndarray]], float | None]:
    """
    Run each segmenter on a frame, then on the next: A B A B.

    :return: each one's times as of `Result.times_ms`, and `Benchmark.equal_labels`.
    """
    for segmenter in segmenters:
        for index in range(WARM_UP_RUNS):
            run(segmenter, frames[index % len(frames)])
    times = [[] for _ in segmenters]
    equal = []
    for index in progress(range(runs)):
        labels = []
        for segmenter, rows in zip(segmenters, times):
            stages_ms, label = run(segmenter, frames[index % len(frames)])
            rows.append(stages_ms)
            labels.append(label)
        equal.append(np.mean(labels[0] == labels[-1]))
    comparable = (len(segmenters) == 2
                  and segmenters[0].info.labels.names == segmenters[1].info.labels.names)
    return ([{stage: np.array([row[stage] for row in rows]) for stage in STAGES}
             for rows in times], float(np.mean(equal)) if comparable else None)


def run(segmenter: Segmenter, jpeg: np.ndarray) -> tuple[dict[str, float], np.ndarray]:
    """Return the ms of each stage of `STAGES` on one frame, and its labels."""
    start = time.perf_counter()
    image_rgb = decode(jpeg)
    decode_ms = (time.perf_counter() - start) * 1e3
    result = segmenter(image_rgb)
    color_table = segmenter.info.labels.color_table()
    start = time.perf_counter()
    colorize(result.label, color_table)
    colour_ms = (time.perf_counter() - start) * 1e3
    total_ms = sum(result.stages_ms[stage] for stage in SUMMANDS)
    return {**result.stages_ms, 'total': total_ms, 'decode': decode_ms,
            'colour': colour_ms}, result.label


def decode(jpeg: np.ndarray) -> np.ndarray:
    """Return (H, W, 3) uint8 RGB, decoded as in the node."""
    return decode_compressed(SimpleNamespace(format='jpeg', data=jpeg), LARGEST_SIDE ** 2)


def ratio(results: list[Result], stage: str) -> float:
    """Return the second's time over the first's: the median of the pairs' ratios."""
    first, second = (result.times_ms[stage] for result in results)
    return float(np.median(second / np.maximum(first, 1e-6)))  # a clock's tick, not zero


def faster(results: list[Result]) -> tuple[str | None, int]:
    """
    Return which of two is faster, 'A' or 'B', or None where it may be chance.

    :return: also the number of pairs in which B was faster; to count, it must be further from half
        of them than two standard deviations of tossing a coin.
    """
    first, second = (result.times_ms['total'] for result in results)
    wins, pairs = int(np.count_nonzero(second < first)), len(first)
    if abs(wins - pairs / 2) <= np.sqrt(pairs):
        return None, wins
    return ('B' if wins > pairs / 2 else 'A'), wins
