# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""The command `segret_bench`: how fast a model file is on this machine, stage by stage."""
