# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""`segret_train` that logs every step."""

import sys

from segret_train.train import main
from segret_train.training import training_run

if __name__ == '__main__':
    training_run.LOG_EVERY = 1
    sys.exit(main())
