"""The middleware's settings for messages as large as images."""

import os

from segret_ros.share import share_directory

# Fast DDS 3 reads the first alone, Fast DDS 2 of Humble and Jazzy the second.
PROFILE_VARIABLES = ('FASTDDS_DEFAULT_PROFILES_FILE', 'FASTRTPS_DEFAULT_PROFILES_FILE')


def use_large_image_profile() -> None:
    """
    Let Fast DDS take `config/fastdds.xml`, or the profile that the user has named by either name.

    To be called before rclpy.init; other middlewares do not read the variables.
    """
    named = [os.environ[name] for name in PROFILE_VARIABLES if name in os.environ]
    profile = named[0] if named else str(share_directory() / 'config' / 'fastdds.xml')
    for name in PROFILE_VARIABLES:
        os.environ.setdefault(name, profile)
