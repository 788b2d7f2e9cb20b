# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""The middleware's settings for messages as large as images."""

import os

from segret_ros.files.share import share_directory
from segret_ros.node.distribution import profile_variable, PROFILE_VARIABLES


def large_image_profile() -> dict[str, str]:
    """
    Return the variable by which Fast DDS takes a profile; empty with another middleware.

    It names `config/fastdds.xml`, or what the user has named by either version's variable. The
    other version's stays unset, for Kilted's warns of it.
    """
    variable = profile_variable()
    if variable is None:
        return {}
    shipped = str(share_directory() / 'config' / 'fastdds.xml')
    named = [os.environ[name] for name in (variable, *PROFILE_VARIABLES.values())
             if name in os.environ]
    return {variable: (named or [shipped])[0]}


def use_large_image_profile() -> None:
    """Let Fast DDS take the profile for large images; to be called before rclpy.init."""
    os.environ.update(large_image_profile())
