# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""What differs between the ROS 2 distributions from Humble to Lyrical; no other module knows."""

from pathlib import Path

import rclpy
from rclpy.lifecycle import LifecycleNode, TransitionCallbackReturn

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

__all__ = ['LOCALHOST', 'ManagedNode', 'profile_variable', 'PROFILE_VARIABLES',
           'PublisherEventCallbacks', 'SubscriptionEventCallbacks', 'TopicEndpointInfo']
# Where Fast DDS looks for its profile: version 2 of Humble and Jazzy, 3 of Kilted and Lyrical.
PROFILE_VARIABLES = {'libfastrtps.so': 'FASTRTPS_DEFAULT_PROFILES_FILE',
                     'libfastdds.so': 'FASTDDS_DEFAULT_PROFILES_FILE'}


class ManagedNode(LifecycleNode):
    """
    A lifecycle node that answers a transition its state does not allow, and lives on.

    On Humble and Jazzy rcl's error goes up through the service and ends the process.
    """

    def _LifecycleNodeMixin__change_state(self, transition: int) -> TransitionCallbackReturn:
        try:
            return super()._LifecycleNodeMixin__change_state(transition)
        except RuntimeError:  # rcl's, which has told the state in the log
            self.get_logger().error(f'transition {transition} is refused: the state does not '
                                    'allow it')
            return TransitionCallbackReturn.FAILURE


def profile_variable() -> str | None:
    """Return the environment variable of Fast DDS's profile; None with another middleware."""
    rclpy.get_rmw_implementation_identifier()  # loads the middleware
    libraries = Path('/proc/self/maps').read_text()
    return next((variable for library, variable in PROFILE_VARIABLES.items()
                 if library in libraries), None)
