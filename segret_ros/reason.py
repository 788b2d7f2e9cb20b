# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Why something failed, in one line, whatever the library's error says."""

import re

PLACE = re.compile(r',? at \S+\.c(pp)?:\d+')  # in ROS 2's sources, as rcl and rmw append it


def reason(error: BaseException) -> str:
    """Return the first line of an error's text that holds any, or its type's name."""
    lines = (line.strip() for line in PLACE.sub('', str(error)).splitlines())
    return next(filter(None, lines), '') or type(error).__name__
