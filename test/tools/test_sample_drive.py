# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""The sample drive, written from CamVid's layout."""

from pathlib import Path
import subprocess
import sys

import cv2
import numpy as np
import sample_drive
from segret_ros.offline.bags import read_bag, stamp_ns


def test_the_sample_drive_is_stamped_by_frame_number(tmp_path: Path) -> None:
    for kind in ('images', 'labels'):
        (tmp_path / kind / 'val').mkdir(parents=True)
    random = np.random.default_rng(2)
    cv2.imwrite(str(tmp_path / 'images' / 'val' / 'drive_00030.jpg'),
                random.integers(0, 256, (64, 64, 3), np.uint8))
    cv2.imwrite(str(tmp_path / 'labels' / 'val' / 'drive_00030.png'),
                random.integers(0, 12, (64, 64), np.uint8))
    subprocess.run([sys.executable, sample_drive.__file__, '--data', tmp_path, '--output',
                    tmp_path / 'drive'], check=True, capture_output=True)
    recorded = list(read_bag(tmp_path / 'drive', ['/camera/image_raw/compressed']))
    assert [stamp_ns(item.message().header) for item in recorded] == [1_000_000_000]
