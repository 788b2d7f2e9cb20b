# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""README's examples run as they are pasted."""

from pathlib import Path
import re
import subprocess
import sys

import cv2
from segret_ros.files.share import share_directory

README = Path(__file__).parents[1] / 'README.md'


def test_the_python_example_runs_anywhere(tmp_path: Path) -> None:
    blocks = re.findall('```python\n(.*?)```', README.read_text(encoding='utf-8'), re.DOTALL)
    assert len(blocks) == 1
    ran = subprocess.run([sys.executable, '-c', blocks[0]], cwd=tmp_path, capture_output=True,
                         text=True)
    assert (ran.returncode, ran.stderr) == (0, '')
    street = cv2.imread(str(share_directory() / 'data' / 'street.jpg'))
    overlay = cv2.imread(str(tmp_path / 'overlay.png'))
    assert overlay.shape == street.shape == (360, 480, 3)
    assert 10 < cv2.absdiff(overlay, street).mean() < 128
