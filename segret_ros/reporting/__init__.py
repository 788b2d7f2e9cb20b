# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""What the reports of demo, benchmark, training and evaluation share."""
