# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""What label ids mean, how they look and how they are scored."""
