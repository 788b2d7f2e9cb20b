"""What differs between the ROS 2 distributions from Humble to Lyrical; no other module knows."""

from rclpy.lifecycle import LifecycleNode, TransitionCallbackReturn


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
