# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""What differs between the ROS 2 distributions from Humble to Lyrical, and their middleware."""

import os
from pathlib import Path
from typing import Any

import rclpy
from rclpy.lifecycle import LifecycleNode, TransitionCallbackReturn
from segret_ros.files.share import share_directory

try:
    from rclpy.event_handler import PublisherEventCallbacks, SubscriptionEventCallbacks
    LOCALHOST = 'ROS_AUTOMATIC_DISCOVERY_RANGE', 'LOCALHOST'
except ImportError:  # Humble
    from rclpy.qos_event import PublisherEventCallbacks, SubscriptionEventCallbacks
    LOCALHOST = 'ROS_LOCALHOST_ONLY', '1'
try:
    from rclpy.endpoint_info import TopicEndpointInfo
except ImportError:  # before Lyrical
    from rclpy.topic_endpoint_info import TopicEndpointInfo

__all__ = ['large_image_profile', 'LOCALHOST', 'ManagedNode', 'profile_variable',
           'PROFILE_VARIABLES', 'PublisherEventCallbacks', 'SubscriptionEventCallbacks',
           'TopicEndpointInfo', 'use_large_image_profile']
# Where Fast DDS looks for its profile: version 2 of Humble and Jazzy, 3 of Kilted and Lyrical.
PROFILE_VARIABLES = {'libfastrtps.so': 'FASTRTPS_DEFAULT_PROFILES_FILE',
                     'libfastdds.so': 'FASTDDS_DEFAULT_PROFILES_FILE'}


class ManagedNode(LifecycleNode):
    """
    A lifecycle node that survives the request of a transition that its state does not allow.

    On Humble and Jazzy rcl's error would propagate through the service and end the process.
    """

    def _LifecycleNodeMixin__change_state(self, transition: int) -> TransitionCallbackReturn:
        try:
            change: Any = super()._LifecycleNodeMixin__change_state  # type: ignore[misc]
            result: TransitionCallbackReturn = change(transition)
        except RuntimeError:  # rcl's, which has logged the state
            self.get_logger().error(f'transition {transition} is refused: the state does not '
                                    'allow it')
            return TransitionCallbackReturn.FAILURE
        return result


def profile_variable() -> str | None:
    """Return the environment variable of Fast DDS's profile; None with another middleware."""
    rclpy.get_rmw_implementation_identifier()  # loads the middleware
    libraries = Path('/proc/self/maps').read_text()
    return next((variable for library, variable in PROFILE_VARIABLES.items()
                 if library in libraries), None)


def large_image_profile() -> dict[str, str]:
    """
    Return the variable that gives Fast DDS its profile; nothing with another middleware.

    The profile is `config/fastdds.xml`, or what the user has set for either version of Fast DDS.
    The other version's variable stays unset, for Kilted warns about it.
    """
    variable = profile_variable()
    if variable is None:
        return {}
    shipped = str(share_directory() / 'config' / 'fastdds.xml')
    named = [os.environ[name] for name in (variable, *PROFILE_VARIABLES.values())
             if name in os.environ]
    return {variable: (named or [shipped])[0]}


def use_large_image_profile() -> None:
    """Have Fast DDS load the profile for large images; to be called before rclpy.init."""
    os.environ.update(large_image_profile())
