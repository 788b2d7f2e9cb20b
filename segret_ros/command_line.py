# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
What all commands share: their exit codes, `--version`, and how they end.

| code | |
|---|---|
| 0 | done |
| 1 | a mistake or a failure, in one line that says what to do; usage errors too |
| 2 | done, and the verdict asked for is no: a broken gate, contract or data set |
| 130, 143 | stopped by Ctrl-C or SIGTERM |
"""

import argparse
from collections.abc import Callable
from io import TextIOWrapper
import os
import signal
import sys
from types import FrameType
from typing import NoReturn

from segret_ros.files.share import package_version

FAILED, REFUSED, INTERRUPTED, TERMINATED = 1, 2, 130, 143


class Parser(argparse.ArgumentParser):
    """Parses a command line; takes `--version`, and answers a usage error in one line."""

    def __init__(self, **settings) -> None:
        super().__init__(**settings)
        self.add_argument('--version', action='version',
                          version=f'%(prog)s {package_version()}')

    def error(self, message: str) -> NoReturn:
        """Exit with `FAILED`; argparse's own 2 is `REFUSED` here."""
        self.exit(FAILED, f'{self.prog}: {message}; see {self.prog} --help\n')


def run_command(name: str, load: Callable[[], Callable[[], int]], stopped: int | None = None
                ) -> int:
    """
    Run a command and return its exit code.

    Ctrl-C ends it in one line, and SIGTERM unwinds it too, so that the processes it started end
    with it. While it is loading, a signal ends it at once: there is nothing to undo yet.

    :param name: of the command.
    :param load: imports and returns its `main`.
    :param stopped: exit code of a command that signals are meant to stop; its `main` handles
        them itself.
    """
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors='backslashreplace')  # for file names that are no text
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda number, _: os._exit(128 + number if stopped is None
                                                         else stopped))
    main = load()
    try:
        if stopped is None:
            signal.signal(signal.SIGINT, signal.default_int_handler)
            signal.signal(signal.SIGTERM, _terminate)
        code = main()
        sys.stdout.flush()
        return code
    except KeyboardInterrupt:
        print(f'\n{name}: interrupted', file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:  # of `| head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED


def _terminate(number: int, frame: FrameType | None) -> NoReturn:
    raise SystemExit(TERMINATED)
