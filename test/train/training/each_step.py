# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""`segret_train` with a record of every step."""

import sys

from segret_train.train import main
from segret_train.training import run

if __name__ == '__main__':
    run.LOG_EVERY = 1
    sys.exit(main())
