# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""From arrays to ROS messages."""

from diagnostic_msgs.msg import KeyValue
import numpy as np
from sensor_msgs.msg import Image
from std_msgs.msg import Header


def encode_image(pixels: np.ndarray, encoding: str, header: Header) -> Image:
    """
    Give an image message without row padding.

    :param pixels: (H, W) or (H, W, 3) uint8.
    :param encoding: `mono8` or `rgb8`.
    :param header: is taken as it is.
    """
    height, width = pixels.shape[:2]
    message = Image(header=header, height=height, width=width, encoding=encoding, is_bigendian=0,
                    step=pixels.size // height)
    # Into the message's own array: the constructor would copy one that it is given.
    message.data.frombytes(np.ascontiguousarray(pixels).reshape(-1).data)
    return message


def stamp_ns(header: Header) -> int:
    """Return a header's stamp in ns."""
    return header.stamp.sec * 10**9 + header.stamp.nanosec


def key_values(values: dict[str, object]) -> list[KeyValue]:
    """Give diagnostic values; floats with three decimals."""
    return [KeyValue(key=key, value=f'{value:.3f}' if isinstance(value, float) else str(value))
            for key, value in values.items()]
