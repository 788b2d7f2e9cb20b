# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""One camera under watch: what is wrong with it, in its history and in the log."""

import numpy as np
from rclpy.node import Node
from segret_ros.inference.validity import CameraCheck, Fault, FAULTS, Limits
from segret_ros.node.history import History
from segret_ros.node.image_topic import ImageTopic
from segret_ros.node.messages import stamp_ns
from segret_ros.node.notices import Notices
from segret_ros.node.silence import silence
from segret_ros.node.stamps import StampCheck
from std_msgs.msg import Header

SILENCE_S = 5.0  # without an image, until the log says why


class Watch:
    """
    Watches a camera from its activation on.

    :param topic: where its images are received.
    :param reliable: they are asked for as reliable.
    """

    def __init__(self, node: Node, topic: ImageTopic, reliable: bool) -> None:
        self.history = History()
        self._node = node
        self._topic = topic
        self._reliable = reliable
        self._notices = Notices(node.get_logger())
        self._check_picture = CameraCheck()
        self._check_stamp = StampCheck()

    def fault(self, image_rgb: np.ndarray, limits: Limits) -> Fault | None:
        """Return what is wrong with the camera, by its newest image, (H, W, 3) uint8."""
        fault = self._check_picture(image_rgb, limits)
        for kind in FAULTS:
            self._update(kind, fault.text if fault and fault.kind == kind else '',
                         f'its images are {kind} no more')
        return fault

    def check_stamp(self, header: Header) -> None:
        """Note an image's stamp, and whether the stamps advance."""
        self.history.stamp_problem = self._check_stamp(stamp_ns(header))
        self._update('stamps', self.history.stamp_problem, 'the stamps advance again')

    def check_silence(self, timeout_s: float) -> None:
        """Find out why no image comes, if none does; some seconds later log it."""
        history, waited_s = self.history, self.history.waited_s()
        if history.silence_s() is not None and waited_s <= timeout_s:
            history.silence = None
            self._update('silence', '', 'images come')
            return
        history.silence = silence(self._node, self._topic, self._reliable)
        if waited_s > SILENCE_S:
            self._update('silence', f'no image for {waited_s:.0f} s: {history.silence.reason}', '')

    def note_incompatible_qos(self, problem: str) -> None:
        """Note that the camera's publisher and the node do not fit together."""
        self.history.qos_problem = problem
        self._update('silence', problem, '')

    def log_lost(self, count: str) -> None:
        """Log the last problem, now and then, for which images get no labels."""
        self._notices.repeat(count, f'{self._topic.name}: frame {self.history.last_problem} '
                                    f'({self.history.counts[count]} so far)')

    def _update(self, trouble: str, problem: str, end: str) -> None:
        self._notices.update(trouble, problem and f'{self._topic.name}: {problem}',
                             f'{self._topic.name}: {end}')
