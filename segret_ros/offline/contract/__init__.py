# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""What consumers of the label topics demand, and the check of a live graph or a bag."""
