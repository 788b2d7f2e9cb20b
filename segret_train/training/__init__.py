# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""The training loop: crops, loss, steps, validation, and the files of a run."""
