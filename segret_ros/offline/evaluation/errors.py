# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""What goes wrong in an evaluation by a user's mistake or a damaged file."""


class EvaluationError(ValueError):
    """An evaluation that can't be done; the message names what, the rule and the way out."""
