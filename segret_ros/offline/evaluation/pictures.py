# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Frames of a finished evaluation, read once more: for the report and for labelling."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from segret_ros.images.codec import decode_image
from segret_ros.offline.bags import Bag, open_bag, Recorded, serialized_stamp_ns
from segret_ros.offline.evaluation.frames import decode
from segret_ros.offline.evaluation.truth import Truth


@dataclass(frozen=True)
class Wanted:
    """
    A frame to read.

    :param row: its line in frames.csv, from 0.
    """

    row: int
    camera: str
    stamp_ns: int
    time_ns: int


@dataclass(frozen=True)
class Labelled:
    """
    A frame with its labels.

    :param row: its line in frames.csv, from 0.
    :param image_rgb: (H, W, 3) uint8.
    :param label: (H, W) uint8.
    :param true_label: (H, W) uint8, or None.
    """

    row: int
    image_rgb: np.ndarray
    label: np.ndarray
    true_label: np.ndarray | None


def read_labelled(bag: Path, result: Path, label_topics: dict[str, str], truth: Truth | None,
                  wanted: Iterable[Wanted]) -> Iterator[Labelled]:
    """
    Give some frames of a bag with their labels, in the order of recording.

    :param result: the evaluation's result.mcap.
    :param label_topics: its topics by camera.
    :param truth: true labels of the bag, or None without any.
    """
    with open_bag(bag) as frames, open_bag(result) as results:
        for one in sorted(wanted, key=lambda one: one.time_ns):
            recorded = _find(frames, one.camera, one)
            labelled = _find(results, label_topics[one.camera], one)
            image = recorded and decode(recorded).image_rgb
            if image is None or labelled is None:
                continue  # of two messages of one moment and stamp the other one was meant
            message = labelled.message()
            label = decode_image(message, message.width * message.height)[..., 0]
            found = truth and truth.find(one.camera, one.stamp_ns, one.time_ns, label.shape)
            yield Labelled(one.row, image, np.ascontiguousarray(label), found and found.label)


def _find(bag: Bag, topic: str, wanted: Wanted) -> Recorded | None:
    return next((recorded for recorded in
                 bag.messages([topic], wanted.time_ns, wanted.time_ns + 1)
                 if serialized_stamp_ns(recorded.data) == wanted.stamp_ns), None)
