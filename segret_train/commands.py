# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""The entry points of the commands, which say in one line what is not installed."""

from segret_ros.command_line import run


def export() -> int:
    """Run segret_export and return its exit code."""
    return run('segret_export', 'segret_train.export', 'train')


def train() -> int:
    """Run segret_train and return its exit code."""
    return run('segret_train', 'segret_train.train', 'train')


def validate() -> int:
    """Run segret_validate and return its exit code."""
    return run('segret_validate', 'segret_train.validate', 'train')
