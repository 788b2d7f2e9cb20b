# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""The one line that the person gets of a library's error, whatever its text."""

import pytest
from segret_ros.reason import reason


@pytest.mark.parametrize(('error', 'line'), [
    (RuntimeError('one\ntwo'), 'one'), (RuntimeError('\n\n  two \nthree'), 'two'),
    (RuntimeError(), 'RuntimeError'), (RuntimeError(' \n'), 'RuntimeError'),
    (RuntimeError('no node, at /src/node.cpp:5, at ./rcl/node.c:261'), 'no node'),
    (RuntimeError('at line 1\n, at /src/parse.c:835, at b.c:4'), 'at line 1'),
    (KeyError('classes'), "'classes'"), (KeyboardInterrupt(), 'KeyboardInterrupt'),
])
def test_it_is_the_first_line_or_the_type(error: BaseException, line: str) -> None:
    assert reason(error) == line
