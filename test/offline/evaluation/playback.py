# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Drives made of the sample drive."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
from segret_ros.files.share import share_directory
from segret_ros.offline.bags import BagWriter, decode_label, read_bag, Recorded, stamp_ns

SAMPLE_DRIVE = share_directory() / 'data' / 'sample_drive'
IMAGE, CAMERA_INFO = '/camera/image_raw/compressed', '/camera/camera_info'
TRUE_LABEL = '/camera/label/compressed'


def images(frames: int) -> Iterator[Recorded]:
    """Return the first images of the sample drive."""
    return islice(read_bag(SAMPLE_DRIVE, [IMAGE]), frames)


def write_drive(path: Path, frames: int, topics: list[str],
                time_ns: Callable[[Recorded], int]) -> Path:
    """
    Write the sample drive's first images; give the bag.

    :param topics: each gets all images.
    :param time_ns: when an image was recorded.
    """
    with BagWriter(path) as writer:
        for recorded in images(frames):
            for topic in topics:
                writer.write(replace(recorded, topic=topic, time_ns=time_ns(recorded)))
    return path


class SampleTruth:
    """The sample drive's true labels; `asked` is what for, as (stamp, tolerance_ns)."""

    def __init__(self) -> None:
        messages = [recorded.message() for recorded in read_bag(SAMPLE_DRIVE, [TRUE_LABEL])]
        self._labels = {stamp_ns(message.header): decode_label(message) for message in messages}
        self.asked: list[tuple[int, int | None]] = []

    def nearest(self, camera: str, stamp: int,
                tolerance_ns: int | None = None) -> np.ndarray | None:
        """Return the nearest label; None beyond the tolerance."""
        self.asked.append((stamp, tolerance_ns))
        nearest = min(self._labels, key=lambda known: abs(known - stamp))
        return self._labels[nearest] if abs(nearest - stamp) <= (tolerance_ns or 0) else None
