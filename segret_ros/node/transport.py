"""The middleware's settings for messages as large as images."""

import os

from segret_ros.share import share_directory

PROFILE_VARIABLE = 'FASTDDS_DEFAULT_PROFILES_FILE'
PROFILE_VARIABLE_OF_HUMBLE = 'FASTRTPS_DEFAULT_PROFILES_FILE'  # later versions warn of it


def use_large_image_profile() -> None:
    """
    Let Fast DDS take `config/fastdds.xml`, unless the user has named a profile.

    To be called before rclpy.init; other middlewares do not read the variable.
    """
    if PROFILE_VARIABLE in os.environ or PROFILE_VARIABLE_OF_HUMBLE in os.environ:
        return
    humble = os.environ.get('ROS_DISTRO') == 'humble'
    variable = PROFILE_VARIABLE_OF_HUMBLE if humble else PROFILE_VARIABLE
    os.environ[variable] = str(share_directory() / 'config' / 'fastdds.xml')
