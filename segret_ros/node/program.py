# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""The program of `segret_node`, from its arguments to the signal that ends it."""

import argparse
import logging
import signal
import sys

import rclpy
from rclpy.exceptions import ParameterException
from rclpy.executors import SingleThreadedExecutor
from rclpy.impl.rcutils_logger import RcutilsLogger
from rclpy.signals import SignalHandlerOptions
from rclpy.utilities import remove_ros_args
from segret_ros.command_line import FAILED, Parser
from segret_ros.errors import reason
from segret_ros.node.distribution import use_large_image_profile
from segret_ros.node.lifecycle_node import SegretNode
from segret_ros.node.parameters import parameter_help

STOPPING = (signal.SIGINT, signal.SIGTERM)
SIGNAL_PERIOD_S = 0.1  # how long Ctrl-C may go unnoticed


def main() -> int:
    """Run the node until SIGINT or SIGTERM; return the exit code."""
    stopped: list[bool] = []
    for number in STOPPING:
        signal.signal(number, lambda *_: stopped.append(True))
    try:
        _argument_parser().parse_args(remove_ros_args(sys.argv)[1:])
        use_large_image_profile()
        # rclpy's own handlers would end the context while a transition or a frame still uses it.
        rclpy.init(args=sys.argv, signal_handler_options=SignalHandlerOptions.NO)
        node = SegretNode()
    except (RuntimeError, ValueError, ParameterException) as error:  # rcl's are RuntimeErrors
        print(f'segret_node: {reason(error)}', file=sys.stderr)
        rclpy.try_shutdown()
        return FAILED
    log_through(node.get_logger())
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    node.start(lambda: bool(stopped))
    while not stopped:
        executor.spin_once(timeout_sec=SIGNAL_PERIOD_S)
    node.finalize()
    executor.shutdown()
    node.destroy_node()
    rclpy.shutdown()
    for number in STOPPING:  # a second one would interrupt Python's own shutdown
        signal.signal(number, signal.SIG_IGN)
    return 0


class NodeHandler(logging.Handler):
    """
    Passes records of Python's logging to a node's logger: with its prefix, level and /rosout.

    :param logger: of the node.
    """

    def __init__(self, logger: RcutilsLogger) -> None:
        super().__init__()
        self._logger = logger

    def emit(self, record: logging.LogRecord) -> None:
        """Log a record at its severity."""
        text = self.format(record)
        if record.levelno >= logging.ERROR:  # rclpy allows one severity per line of code
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


def _argument_parser() -> Parser:
    return Parser(
        prog='segret_node', usage='segret_node [--ros-args [-p NAME:=VALUE] [-r FROM:=TO] ...]',
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description='Labels the images of one or several cameras. For a camera driver that '
                    'publishes /camera/image_raw:\n'
                    '  segret_node --ros-args -r image:=/camera/image_raw',
        epilog=f'parameters and their defaults:\n{parameter_help()}')
