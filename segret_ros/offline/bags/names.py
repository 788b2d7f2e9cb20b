# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Names of topics as ROS 2 allows them: ROS 1, other recorders and converters allow more."""

from collections.abc import Iterable
import re
import unicodedata

LEGAL = re.compile(r'(?:/[A-Za-z_][A-Za-z0-9_]*)+')
LONGEST = 200  # characters: DDS takes 246, and the names of a camera's labels begin with its own


def ros_names(names: Iterable[str]) -> dict[str, str]:
    """
    Return the names that ROS 2 does not allow, with those that stand in for them.

    No two names of a bag become one: a number behind the second tells them apart.
    """
    names = sorted(set(names))
    taken = {name for name in names if _is_legal(name)}
    renamed = {}
    for name in names:
        if not _is_legal(name):
            renamed[name] = _free(_ros_name(name), taken)
            taken.add(renamed[name])
    return renamed


def _is_legal(name: str) -> bool:
    return len(name) <= LONGEST and LEGAL.fullmatch(name) is not None


def _ros_name(name: str) -> str:
    """Return a legal name that is like another: letters without their marks, the rest as `_`."""
    plain = ''.join(letter for letter in unicodedata.normalize('NFKD', name)
                    if not unicodedata.combining(letter))
    parts = [re.sub(r'\W', '_', part, flags=re.ASCII) for part in plain.split('/') if part]
    parts = [f'_{part}' if part[0].isdigit() else part for part in parts]
    return ('/' + '/'.join(parts or ['_']))[:LONGEST].rstrip('/')


def _free(name: str, taken: set[str]) -> str:
    number, free = 2, name
    while free in taken:
        free, number = f'{name}_{number}', number + 1
    return free
