# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
The node with engines that take long to build: `slow_build_node.py FILE ROS-ARGUMENTS`.

The build is the real one, in a process of this program that begins it when FILE is there; with a
text in FILE it ends without having built anything. The node waits less than `PATIENCE_S` for it.
"""

from multiprocessing.connection import Connection
import os
from pathlib import Path
import sys
import time

from segret_ros.inference.serving import background, supervisor
from segret_ros.node.main import main

CHILD = '--child'

if sys.argv[1] == CHILD:
    file = Path(sys.argv.pop(2))
    del sys.argv[1]
    Connection(os.dup(int(sys.argv[1]))).send({'phase': 'building'})
    while not file.exists():
        time.sleep(0.02)
    sys.exit(1 if file.read_text() else background.main())
supervisor.PATIENCE_S = 0.5
background.CHILD = (sys.executable, __file__, CHILD, sys.argv.pop(1))
sys.exit(main())
