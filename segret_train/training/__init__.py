# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""The training loop: views, steps, state, validation and the report of a run."""
