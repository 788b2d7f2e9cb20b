# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Data sets, training, validation and export of SegRet; the vehicle does not need it."""
