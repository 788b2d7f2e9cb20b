# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""The demo: the real node on the sample drive over DDS, with a bag, pictures and a report."""
