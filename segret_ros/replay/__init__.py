# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""A recorded drive played to the real node over DDS."""
