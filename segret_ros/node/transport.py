# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""The middleware's settings for messages as large as images."""

import os

from segret_ros.node.distribution import profile_variable, PROFILE_VARIABLES
from segret_ros.share import share_directory


def use_large_image_profile() -> None:
    """
    Let Fast DDS take `config/fastdds.xml`, or the profile that the user has named by either name.

    To be called before rclpy.init. The other version's name stays unset, for Kilted's warns of it.
    """
    variable = profile_variable()
    if variable is None:
        return
    shipped = str(share_directory() / 'config' / 'fastdds.xml')
    named = [os.environ[name] for name in PROFILE_VARIABLES.values() if name in os.environ]
    os.environ.setdefault(variable, (named or [shipped])[0])
