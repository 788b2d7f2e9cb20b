# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Pixels in and out: the encodings of image messages and image files."""
