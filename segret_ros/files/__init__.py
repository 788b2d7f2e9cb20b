# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Files and folders: read and written whole or not at all, and what the package shares."""
