"""The frames of a demo's result bag."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from segret_ros.bags import Bag, decode_label, stamp_ns
from segret_ros.bags.cameras import CameraTopic, COMPRESSED_IMAGE
from segret_ros.image_codec import decode_compressed, decode_image
from segret_ros.node.parameters import Parameters
from segret_ros.replay.node_process import label_topic, node_topic


@dataclass(frozen=True)
class Frame:
    """
    An image with what the node made of it.

    :param stamp: in ns.
    :param image_rgb: (H, W, 3) uint8.
    :param label: (H, W) uint8.
    :param true_label: (H, W) uint8, or None where the drive has none.
    """

    stamp: int
    image_rgb: np.ndarray
    label: np.ndarray
    true_label: np.ndarray | None


def true_label_topic(camera: CameraTopic, topics: dict[str, str]) -> str | None:
    """Give where a drive such as the sample drive has a camera's true labels, or None."""
    topic = node_topic(camera, 'label/compressed')
    return topic if topics.get(topic) == COMPRESSED_IMAGE else None


def labelled_frames(bag: Bag, camera: CameraTopic) -> Iterator[Frame]:
    """
    Give a camera's images that have a label, in order of time; one at a time is in memory.

    :param bag: in which an image's labels come before the next image, as a player that waits
        for them leaves it.
    """
    label, true_label = label_topic(camera), true_label_topic(camera, bag.topics)
    pending: dict[int, dict[str, Any]] = {}  # messages by topic, by stamp
    for recorded in bag.messages([topic for topic in (camera.topic, label, true_label)
                                  if topic in bag.topics]):
        message = recorded.message()
        stamp = stamp_ns(message.header)
        if recorded.topic == camera.topic:
            yield from _whole_frames(pending, camera, label, true_label)
            pending = {stamp: pending.get(stamp, {})}
        pending.setdefault(stamp, {})[recorded.topic] = message
    yield from _whole_frames(pending, camera, label, true_label)


def _whole_frames(pending: dict[int, dict[str, Any]], camera: CameraTopic, label: str,
                  true_label: str | None) -> Iterator[Frame]:
    decode = decode_compressed if camera.is_compressed else decode_image
    for stamp, messages in pending.items():
        if camera.topic in messages and label in messages:
            message = messages[label]
            yield Frame(
                stamp, decode(messages[camera.topic], Parameters.max_pixels),
                message.data.reshape(message.height, message.width),
                decode_label(messages[true_label]) if true_label in messages else None)
