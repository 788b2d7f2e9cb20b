# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Frames of the sample drive."""

from itertools import islice

import cv2
import numpy as np
import pytest
from segret_ros.files.share import share_directory


@pytest.fixture(scope='session')
def frames() -> list[np.ndarray]:
    """Read every tenth frame of the sample drive, (360, 480, 3) uint8 RGB; do not change them."""
    from segret_ros.offline.bags import read_bag
    drive = read_bag(share_directory() / 'data' / 'sample_drive', ['/camera/image_raw/compressed'])
    return [cv2.imdecode(np.asarray(recorded.message().data), cv2.IMREAD_COLOR)[..., ::-1].copy()
            for recorded in islice(drive, 0, None, 10)]
