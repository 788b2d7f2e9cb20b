# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""The lifecycle node: with the demo and the live contract check, all that imports rclpy."""
