"""`segret_train` with a record of every step."""

import sys

from segret_train.train import main
from segret_train.training import run

if __name__ == '__main__':
    run.LOG_EVERY = 1
    sys.exit(main())
