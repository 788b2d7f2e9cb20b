# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""A command of `segret_train` with a small nano, such as `train`, which logs each step."""

from dataclasses import replace
from importlib import import_module
import sys

from segret_ros.network.variants import VARIANTS

SMALL = replace(VARIANTS['nano'], depths=(1, 1, 1, 1))  # a third of the blocks, of the same kinds

if __name__ == '__main__':
    VARIANTS['nano'] = SMALL
    command = import_module(f'segret_train.{sys.argv.pop(1)}')
    if command.__name__ == 'segret_train.train':
        sys.modules['segret_train.training.training_run'].LOG_EVERY = 1
    sys.exit(command.main())
