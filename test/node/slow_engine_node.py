# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
The node with a slow engine on `cpu`: `slow_engine_node.py FILE ROS-ARGUMENTS`.

An image takes as many seconds as FILE says, which may be written anew meanwhile. While it takes
them there is a file `FILE.running`.
"""

from pathlib import Path
import sys
import time

from segret_ros.inference.engines import cpu as onnxruntime_engine
from segret_ros.node.main import main

file = Path(sys.argv.pop(1))
running = file.with_name(f'{file.name}.running')
run = onnxruntime_engine.OnnxRuntimeEngine.run


def run_slowly(self, image):
    """Run an image when its time is over."""
    started = time.monotonic()
    running.touch()
    while time.monotonic() - started < float(file.read_text() or 0):
        time.sleep(0.002)
    running.unlink()
    return run(self, image)


onnxruntime_engine.OnnxRuntimeEngine.run = run_slowly
sys.exit(main())
