# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Evaluate a model on recorded drives: accuracy, stability, confidence, latency."""
