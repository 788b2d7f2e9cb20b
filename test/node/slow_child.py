# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
The process that builds an engine, begun late: `slow_child.py FILE MODEL DEVICE CACHE`.

It begins when FILE is there; with a text in it it ends without having built anything.
"""

import json
from pathlib import Path
import sys
import time

from segret_ros.inference.serving.background import main

print(json.dumps({'phase': 'building'}), flush=True)
file = Path(sys.argv.pop(1))
while not file.exists():
    time.sleep(0.02)
sys.exit(1 if file.read_text() else main())
