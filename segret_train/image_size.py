# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""The size at which an image is shown to a network, in training and in validation."""

import math

LONG_SIDE = 2048  # at most, whatever the short side: the authors' (2048, 512) and (2048, 640)
Size = tuple[int, int]  # (height, width)


def resized(size: Size, short_side: int | None, ratio: float = 1.0) -> Size:
    """
    Give the (height, width) that an image is resized to, keeping the ratio of its sides.

    :param size: (height, width) of the image.
    :param short_side: of the result where the long side stays within `LONG_SIDE`; the image's own
        if None.
    :param ratio: scales all of it.
    """
    factor = ratio
    if short_side is not None:
        factor = min(int(short_side * ratio) / min(size), int(LONG_SIDE * ratio) / max(size))
    height, width = (math.floor(side * factor + 0.5) for side in size)
    return height, width
