# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
The node with engines that can be made to fail: `faulty_node.py FILE ROS-ARGUMENTS`.

While FILE names an engine's device, that engine is given an image of the wrong size, so that it
fails by itself, in its own library, with its own error.
"""

from pathlib import Path
import sys

from segret_ros.inference.engines import cpu as onnxruntime_engine, openvino as openvino_engine
from segret_ros.node.main import main

failing = Path(sys.argv.pop(1))


def break_at_will(engine: type) -> None:
    """Let `run` of an engine fail while the file says so."""
    run = engine.run

    def run_or_fail(self, image):
        broken = self.device in failing.read_text().split()
        return run(self, image[:-8] if broken else image)

    engine.run = run_or_fail


break_at_will(onnxruntime_engine.OnnxRuntimeEngine)
break_at_will(openvino_engine.OpenVinoEngine)
sys.exit(main())
