# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Tables for a terminal, all in one style."""

from collections.abc import Iterable, Sequence

from tabulate import tabulate


def text_table(rows: Iterable[Sequence[str]], headers: Sequence[str] = (),
               align: Sequence[str] = ()) -> str:
    """
    Return rows of text as aligned columns.

    :param align: `left` or `right` for each column from the first; the rest is aligned left.
    """
    return tabulate(list(rows), headers, tablefmt='plain', disable_numparse=True,
                    colalign=align or None)
