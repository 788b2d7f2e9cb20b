# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Built engines, kept and proven: no start waits for a build twice, or trusts one untried."""
