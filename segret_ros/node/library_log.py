# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""The library's log, through the node's."""

import logging

from rclpy.impl.rcutils_logger import RcutilsLogger


class NodeHandler(logging.Handler):
    """
    Pass records of Python's logging on to a node's logger: its prefix, its level, /rosout.

    :param logger: of the node.
    """

    def __init__(self, logger: RcutilsLogger) -> None:
        super().__init__()
        self._logger = logger

    def emit(self, record: logging.LogRecord) -> None:
        """Log a record with its severity."""
        text = self.format(record)
        if record.levelno >= logging.ERROR:  # rclpy allows one severity a line of code
            self._logger.error(text)
        elif record.levelno >= logging.WARNING:
            self._logger.warning(text)
        elif record.levelno >= logging.INFO:
            self._logger.info(text)
        else:
            self._logger.debug(text)


def log_through(logger: RcutilsLogger) -> None:
    """Send what `segret_ros` logs to a node's logger, and nowhere else."""
    library = logging.getLogger('segret_ros')
    library.handlers = [NodeHandler(logger)]
    library.setLevel(logging.INFO)
    library.propagate = False
