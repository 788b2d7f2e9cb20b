# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""A camera's troubles in the log: a line when one begins, a line when it ends."""

import time

from rclpy.impl.rcutils_logger import RcutilsLogger

AGAIN_S = 60.0  # a trouble that comes and goes is told no more often
REPEAT_S = 5.0  # nor are frames without labels


class Notices:
    """Writes each trouble of a camera to the log once."""

    def __init__(self, logger: RcutilsLogger) -> None:
        self._logger = logger
        self._written_s: dict[str, float] = {}  # by trouble, when it was last written
        self._open: set[str] = set()

    def update(self, trouble: str, problem: str, end: str) -> None:
        """
        Note how things stand with one kind of trouble, as often as wanted.

        :param problem: what is wrong now; empty where nothing is.
        :param end: what to write when a trouble that was written is over.
        """
        if not problem:
            if trouble in self._open:
                self._open.remove(trouble)
                self._logger.info(end)
        elif trouble not in self._open and self._is_due(trouble, AGAIN_S):
            self._open.add(trouble)
            self._logger.warning(problem)

    def repeat(self, trouble: str, problem: str) -> None:
        """Write what is wrong with one of many frames, unless another was written just now."""
        if self._is_due(trouble, REPEAT_S):
            self._logger.warning(problem)

    def _is_due(self, trouble: str, period_s: float) -> bool:
        now = time.monotonic()
        if now - self._written_s.get(trouble, -period_s) < period_s:
            return False
        self._written_s[trouble] = now
        return True
