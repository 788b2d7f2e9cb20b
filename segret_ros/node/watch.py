# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""What is wrong with a camera, kept in its history and written to the log."""

import time

import numpy as np
from rclpy.impl.rcutils_logger import RcutilsLogger
from rclpy.node import Node
from segret_ros.inference.validity import CameraCheck, Fault, FAULTS, Limits
from segret_ros.node.history import History
from segret_ros.node.image_topic import ImageTopic
from segret_ros.node.silence import silence
from segret_ros.node.stamps import stamp_ns, StampCheck
from std_msgs.msg import Header

SILENCE_S = 5.0  # without an image until the log says why
AGAIN_S = 60.0  # a trouble that comes and goes is logged no more often
REPEAT_S = 5.0  # nor are frames without labels


class Notices:
    """Logs the troubles of a camera: a line when one begins, a line when it ends."""

    def __init__(self, logger: RcutilsLogger) -> None:
        self._logger = logger
        self._written_s: dict[str, float] = {}  # when each trouble was last logged
        self._open: set[str] = set()

    def update(self, trouble: str, problem: str, end: str) -> None:
        """
        Log a change in one kind of trouble; may be called for every image.

        :param problem: what is wrong now, or empty.
        :param end: what to log when the trouble is over.
        """
        if not problem:
            if trouble in self._open:
                self._open.remove(trouble)
                self._logger.info(end)
        elif trouble not in self._open and self._is_due(trouble, AGAIN_S):
            self._open.add(trouble)
            self._logger.warning(problem)

    def repeat(self, trouble: str, problem: str) -> None:
        """Log what is wrong with one of many frames, at most every `REPEAT_S`."""
        if self._is_due(trouble, REPEAT_S):
            self._logger.warning(problem)

    def _is_due(self, trouble: str, period_s: float) -> bool:
        now = time.monotonic()
        if now - self._written_s.get(trouble, -period_s) < period_s:
            return False
        self._written_s[trouble] = now
        return True


class Watch:
    """
    Watches a camera from its activation on.

    :param topic: of its images.
    :param reliable: the subscription asks for reliable publishers.
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
        """Return what the newest image, (H, W, 3) uint8, shows to be wrong with the camera."""
        fault = self._check_picture(image_rgb, limits)
        for kind in FAULTS:
            self._update(kind, fault.text if fault and fault.kind == kind else '',
                         f'its images are no longer {kind}')
        return fault

    def check_stamp(self, header: Header) -> None:
        """Check that the stamps advance, with that of a new image."""
        self.history.stamp_problem = self._check_stamp(stamp_ns(header))
        self._update('stamps', self.history.stamp_problem, 'the stamps advance again')

    def check_silence(self, timeout_s: float) -> None:
        """Find out why no image arrives, if none does; log it after `SILENCE_S`."""
        history, waited_s = self.history, self.history.waited_s()
        if history.silence_s() is not None and waited_s <= timeout_s:
            history.silence = None
            self._update('silence', '', 'images are arriving')
            return
        history.silence = silence(self._node, self._topic, self._reliable)
        if waited_s > SILENCE_S:
            self._update('silence', f'no image for {waited_s:.0f} s: {history.silence.reason}', '')

    def note_incompatible_qos(self, problem: str) -> None:
        """Note that the QoS of the camera's publisher and of the node are incompatible."""
        self.history.qos_problem = problem
        self._update('silence', problem, '')

    def log_lost(self, count: str) -> None:
        """Log, throttled, the last problem that left images without labels."""
        self._notices.repeat(count, f'{self._topic.name}: frame {self.history.last_problem} '
                                    f'({self.history.counts[count]} so far)')

    def _update(self, trouble: str, problem: str, end: str) -> None:
        self._notices.update(trouble, problem and f'{self._topic.name}: {problem}',
                             f'{self._topic.name}: {end}')
