# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Arguments of launch files: what `ros2 launch` itself would ignore."""

from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path
import sys


def refuse_unknown_arguments(file: str, declared: Iterable[str]) -> None:
    """
    Refuse arguments of the command line that a launch file does not declare; launch ignores them.

    A file that another one includes isn't on the command line: the arguments belong to the other.

    :param file: the launch file.
    :raises ValueError: for an undeclared argument; names it and a similar one.
    """
    if not any(Path(word).name == Path(file).name for word in sys.argv):
        return
    known = sorted(declared)
    for name in (word.partition(':=')[0] for word in sys.argv if ':=' in word):
        if name not in known:
            alike = get_close_matches(name, known, n=1)
            advice = f'did you mean {alike[0]}:=?' if alike else f'there are {", ".join(known)}'
            raise ValueError(f'{name}:= is no argument of {Path(file).name}: {advice}')
