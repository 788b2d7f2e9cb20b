# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""What needs no vehicle: bags, evaluation, replay, reports, bench, contract and demo."""
