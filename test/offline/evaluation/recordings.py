# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Bags made of the sample drive, and the command that evaluates them."""

from collections.abc import Iterable
from contextlib import redirect_stderr, redirect_stdout
from functools import cache
from io import StringIO
import json
from pathlib import Path
import subprocess
import sys
from unittest.mock import patch

import numpy as np
from segret_ros.files.share import share_directory
from segret_ros.images.codec import decode_compressed
from segret_ros.offline.bags import (
    BagWriter,
    decode_label,
    read_bag,
    Recorded,
    serialize,
    stamp_ns,
)
from segret_ros.offline.evaluation.main import main
from segret_ros.offline.evaluation.result import label_message, new_header

DRIVE = share_directory() / 'data' / 'sample_drive'
CAMERA, TRUE_LABEL = '/camera/image_raw/compressed', '/camera/label/compressed'
MAX_PIXELS = 10 ** 6


@cache
def sample_drive() -> tuple[Recorded, ...]:
    """Read the messages of the sample drive's camera and labels."""
    return tuple(read_bag(DRIVE, [CAMERA, TRUE_LABEL]))


def first(frames: int) -> list[Recorded]:
    """Return the first frames of the sample drive with their labels."""
    images = [item for item in sample_drive() if item.topic == CAMERA]
    return [item for item in sample_drive() if item.time_ns < images[frames].time_ns]


def write_bag(path: Path, messages: Iterable[Recorded]) -> Path:
    """Write a bag; return its path."""
    with BagWriter(path) as writer:
        for message in messages:
            writer.write(message)
    return path


def restamped(recorded: Recorded, new_stamp_ns: int) -> Recorded:
    """Return a message with another stamp."""
    message = recorded.message()
    message.header.stamp.sec, message.header.stamp.nanosec = divmod(new_stamp_ns, 10 ** 9)
    return serialize(recorded.topic, recorded.time_ns, message)


def renamed(recorded: Recorded, topic: str) -> Recorded:
    """Return a message on another topic."""
    return serialize(topic, recorded.time_ns, recorded.message())


def raw_label(topic: str, time_ns: int, label: np.ndarray) -> Recorded:
    """Return a label as an Image of mono8."""
    return serialize(topic, time_ns, label_message(new_header(time_ns, 'camera'), label))


def images(messages: Iterable[Recorded]) -> dict[int, np.ndarray]:
    """Return the camera's images by stamp."""
    found = [item.message() for item in messages if item.topic == CAMERA]
    return {stamp_ns(message.header): decode_compressed(message, MAX_PIXELS) for message in found}


def true_labels(messages: Iterable[Recorded]) -> dict[int, np.ndarray]:
    """Return the true labels by stamp."""
    found = [item.message() for item in messages if item.topic == TRUE_LABEL]
    return {stamp_ns(message.header): decode_label(message) for message in found}


def evaluate(*arguments: object, code: int | None = 0) -> str:
    """
    Run segret_evaluate; return what it prints, on stderr if it fails.

    :param code: that it must end with; None for 0 or 1.
    """
    output, errors = StringIO(), StringIO()
    with patch.object(sys, 'argv', ['segret_evaluate', *map(str, arguments)]), \
            redirect_stdout(output), redirect_stderr(errors):
        found = main()
    assert found in ((0, 1) if code is None else (code,)), output.getvalue() + errors.getvalue()
    return output.getvalue() if found == 0 else errors.getvalue()


def evaluate_apart(*arguments: object) -> str:
    """Run segret_evaluate in a process of its own; return what it prints."""
    return subprocess.run([sys.executable, '-m', 'segret_ros.offline.evaluation.main',
                           *map(str, arguments)], capture_output=True, text=True,
                          check=True).stdout


def metrics(folder: Path) -> dict:
    """Read an output folder's metrics.json."""
    return json.loads((folder / 'metrics.json').read_text())
