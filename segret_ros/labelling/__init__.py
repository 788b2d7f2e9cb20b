# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Photos and videos, labelled from the shell."""
