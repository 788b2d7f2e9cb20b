# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Two evaluations side by side: what differs, and whether that may be chance."""
