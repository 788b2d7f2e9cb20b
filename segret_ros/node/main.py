# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""The executable `segret_node`; signals are handled before rclpy is imported."""

import sys

from segret_ros.command_line import node as main

__all__ = ['main']

if __name__ == '__main__':
    sys.exit(main())
