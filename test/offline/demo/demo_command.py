# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""The demo in a process of its own, and the messages of a bag."""

from pathlib import Path
import subprocess
import sys

from segret_ros.offline.bags import read_bag

TIMEOUT_S = 600


def run_demo(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, '-m', 'segret_ros.offline.demo.main', *arguments],
                          capture_output=True, text=True, timeout=TIMEOUT_S)


def messages(bag: Path, topic: str) -> list:
    return [recorded.message() for recorded in read_bag(bag, [topic])]


def values_of(status: object) -> dict[str, str]:
    """Return the values of an image's status by their keys."""
    return {value.key: value.value for value in status.status[0].values}
