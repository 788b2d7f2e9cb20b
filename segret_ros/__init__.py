# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""What runs in the vehicle: the SegRet network, its engines, and the ROS 2 node."""
