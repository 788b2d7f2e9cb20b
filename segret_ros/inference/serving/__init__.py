# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Engines in service: validated against the network, cached once built, and supervised."""
