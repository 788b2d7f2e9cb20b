# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""The lifecycle node. Besides the players and live checks of `offline`, only it imports rclpy."""
