# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
The node with engines that take long to build: `slow_build_node.py FILE ROS-ARGUMENTS`.

The build is the real one, begun when FILE is there (`slow_child.py`). It is waited for
`PATIENCE_S` before another engine serves, as everywhere, but for less of them.
"""

from pathlib import Path
import sys

from segret_ros.inference.serving import background, supervisor
from segret_ros.node.main import main

supervisor.PATIENCE_S = 0.5
background.CHILD = (sys.executable, str(Path(__file__).with_name('slow_child.py')),
                    sys.argv.pop(1))
sys.exit(main())
