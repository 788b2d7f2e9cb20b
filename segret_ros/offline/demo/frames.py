# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""The frames of a demo's result bag."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from segret_ros.images.codec import decode_compressed, decode_image
from segret_ros.inference import ModelInfo
from segret_ros.node.parameters import Parameters
from segret_ros.offline.bags import Bag, open_bag, Recorded, serialized_stamp_ns
from segret_ros.offline.bags.cameras import CameraTopic, COMPRESSED_IMAGE
from segret_ros.offline.evaluation.notes import assumed_classes
from segret_ros.offline.evaluation.truth import open_truth, Truth
from segret_ros.offline.label_names import check_classes, names_of_topic
from segret_ros.offline.node_process import label_topic, node_topic


@dataclass(frozen=True)
class Frame:
    """
    An image with what the node made of it.

    :param stamp: in ns.
    :param image_rgb: (H, W, 3) uint8.
    :param label: (H, W) uint8.
    :param true_label: (H, W) uint8, or None where the drive has none of use.
    :param truth: how it was found, or why there is none; empty for a drive without.
    """

    stamp: int
    image_rgb: np.ndarray
    label: np.ndarray
    true_label: np.ndarray | None
    truth: str


def true_label_topic(camera: CameraTopic, topics: dict[str, str]) -> str | None:
    """Give where a drive such as the sample drive has a camera's true labels, or None."""
    topic = node_topic(camera, 'label/compressed')
    return topic if topics.get(topic) == COMPRESSED_IMAGE else None


def open_true_labels(result: Path, cameras: list[CameraTopic], info: ModelInfo,
                     drive: Path) -> tuple[dict[str, Truth], list[str]]:
    """
    Return the true labels of the cameras that have any, and what to know of them in sentences.

    :param result: the demo's bag.
    :param drive: that was played; it may tell the classes of its labels.
    """
    found: dict[str, Truth] = {}
    notes: list[str] = []
    classes = info.labels.names
    with open_bag(drive) as bag:
        for camera in cameras:
            topic = true_label_topic(camera, bag.topics)
            if topic is None:
                continue
            try:
                names = names_of_topic(bag, drive, topic)
                check_classes(f'{drive}, {topic}', names, 'the model', classes)
                found[camera.topic] = open_truth(topic, result, [camera], classes)
                notes += [] if names else [assumed_classes(classes)]
            except ValueError as error:
                notes.append(f"The labels are not held against the drive's: {error}.")
    return found, list(dict.fromkeys(notes))


def labelled_frames(bag: Bag, camera: CameraTopic, truth: Truth | None) -> Iterator[Frame]:
    """
    Yield a camera's images that have a label, in order of time; one at a time is in memory.

    :param bag: in which an image's labels come before the next image, as a player that waits
        for them leaves it.
    :param truth: the true labels of the bag; None without any.
    """
    label = label_topic(camera)
    decode = decode_compressed if camera.is_compressed else decode_image
    image: Recorded | None = None
    for recorded in bag.messages([topic for topic in (camera.topic, label)
                                  if topic in bag.topics]):
        if recorded.topic == camera.topic:
            image = recorded
            continue
        stamp = serialized_stamp_ns(recorded.data)
        if image is None or serialized_stamp_ns(image.data) != stamp:
            continue
        message = recorded.message()
        pixels = message.data.reshape(message.height, message.width)
        found = truth and truth.find(camera.topic, stamp, image.time_ns, pixels.shape)
        yield Frame(stamp, decode(image.message(), Parameters.max_pixels), pixels,
                    found and found.label, found.how if found else '')
        image = None
