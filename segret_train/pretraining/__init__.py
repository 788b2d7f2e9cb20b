# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""What gives a backbone that has seen more images than a data set holds labels."""
