# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""The node, with steps of its transitions that raise once when a file names them."""

from pathlib import Path
import sys

from segret_ros.node.camera import Camera
from segret_ros.node.lifecycle_node import SegretNode
from segret_ros.node.main import main

broken = Path(sys.argv.pop(1))


def break_at_will(owner: type, method: str, step: str) -> None:
    """Let a step raise once when the file says so."""
    whole = getattr(owner, method)

    def run_or_raise(self, *arguments: object) -> object:
        result = whole(self, *arguments)
        steps = broken.read_text().split()
        if step in steps:
            broken.write_text(' '.join(other for other in steps if other != step))
            raise RuntimeError(f'{step} is broken')
        return result

    setattr(owner, method, run_or_raise)


steps: list[tuple[type, str, str]] = [
    (Camera, 'subscribe', 'activate'), (Camera, 'unsubscribe', 'deactivate'),
    (SegretNode, '_release', 'cleanup'), (SegretNode, '_release', 'release')]
for owner, method, step in steps:
    break_at_will(owner, method, step)
sys.exit(main())
