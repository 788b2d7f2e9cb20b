# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Where this package keeps what it makes for a user and can make anew."""

import os
from pathlib import Path


def engine_folder() -> Path:
    """
    Return the folder of built engines and compiled kernels.

    :raises RuntimeError: for a user without a home folder, who has not set another.
    """
    own = os.environ.get('SEGRET_ENGINE_CACHE')
    if own:
        return Path(own)
    caches = os.environ.get('XDG_CACHE_HOME') or Path.home() / '.cache'
    return Path(caches) / 'segret_ros' / 'engines'
