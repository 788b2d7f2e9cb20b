# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""One module an engine, behind one interface, and which of them this machine can run."""
