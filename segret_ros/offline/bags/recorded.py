# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""A recorded message, and the messages that this project reads and writes itself."""

from dataclasses import dataclass, field
import struct

import numpy as np
from segret_ros.images import image_file
from segret_ros.images.error import ImageError
from segret_ros.offline.bags.message_types import BagError, MessageTypes, TYPESTORE


@dataclass(frozen=True)
class Recorded:
    """
    One message of a bag.

    :param topic: its name.
    :param type_name: such as `sensor_msgs/msg/Image`, for ROS 1 bags too.
    :param time_ns: when it was recorded.
    :param data: as serialised (CDR), which a publisher takes as it is.
    :param types: of the bag that it comes from.
    :param file: of the bag that it comes from; its name.
    """

    topic: str
    type_name: str
    time_ns: int
    data: bytes
    types: MessageTypes = field(default_factory=MessageTypes, repr=False, compare=False)
    file: str = field(default='', repr=False, compare=False)

    def message(self):
        """
        Give the deserialised message, with rosbags' classes.

        :raises BagError: for a type that neither ROS 2 Humble nor the bag defines, and for data
            that do not fit it.
        """
        return self.types.deserialize(self.data, self.type_name)


def serialize(topic: str, time_ns: int, message) -> Recorded:
    """Give a message of rosbags' classes as it goes into a bag."""
    type_name = message.__msgtype__
    return Recorded(topic, type_name, time_ns,
                    bytes(TYPESTORE.serialize_cdr(message, type_name)))


def stamp_ns(header) -> int:
    """Give the stamp of a std_msgs/Header in nanoseconds."""
    return header.stamp.sec * 1_000_000_000 + header.stamp.nanosec


def serialized_stamp_ns(data: bytes) -> int | None:
    """
    Return the stamp in ns of a serialised message (CDR) that starts with a header.

    None where it is too short for one.
    """
    try:
        seconds, nanoseconds = struct.unpack_from('<iI' if data[1] & 1 else '>iI', data, 4)
    except (struct.error, IndexError):
        return None
    return seconds * 1_000_000_000 + nanoseconds


def decode_label(message) -> np.ndarray:
    """
    Give a recorded label image.

    :param message: CompressedImage that holds a file of class ids; see `image_file`.
    :return: (H, W) uint8.
    :raises BagError: for anything else.
    """
    try:
        return image_file.decode_label(bytes(message.data), f'a label of {message.format!r}')
    except ImageError as error:
        raise BagError(str(error)) from error
