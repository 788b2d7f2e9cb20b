# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Bags in, evidence out: how good, how steady and how fresh a model is on recorded drives."""
