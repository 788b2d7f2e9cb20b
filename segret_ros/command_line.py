# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
The commands, and what they share: exit codes, `--version`, missing packages and how they end.

| code | |
|---|---|
| 0 | success |
| 1 | a mistake or a failure, in one line that says what to do; usage errors too |
| 2 | done, but the answer is no: a limit, a contract or a data set is violated |
| 130, 143 | stopped by Ctrl-C or SIGTERM |
"""

import argparse
from collections.abc import Callable, Iterable
from difflib import get_close_matches
from functools import partial
from importlib import import_module
from io import TextIOWrapper
import os
from pathlib import Path
import signal
import sys
from typing import Any, NoReturn

from segret_ros.errors import NO_ONNXRUNTIME, remedy
from segret_ros.files.share import package_version

FAILED, REFUSED, INTERRUPTED, TERMINATED = 1, 2, 130, 143


class Parser(argparse.ArgumentParser):
    """Parses a command line; has `--version`, and reports a usage error in one line."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.add_argument('--version', action='version',
                          version=f'%(prog)s {package_version()}')

    def error(self, message: str) -> NoReturn:
        """Exit with `FAILED`; argparse's own 2 is `REFUSED` here."""
        self.exit(FAILED, f'{self.prog}: {message}; see {self.prog} --help\n')


def run(name: str, module: str, extra: str, stopped: int | None = None) -> int:
    """
    Run a command, or say in one line which package is missing; return the exit code.

    :param name: of the command.
    :param module: that has its `main`, and may need packages that others do not.
    :param extra: of this package, which brings them.
    :param stopped: see `run_command`.
    """
    try:
        return run_command(name, lambda: import_module(module).main, stopped)
    except ModuleNotFoundError as error:
        reason = NO_ONNXRUNTIME if error.name == 'onnxruntime' else (
            f'needs the package {error.name}, which is not installed: {remedy(extra)}')
    except ImportError as error:  # as of an ONNX Runtime in parts
        reason = str(error)
    print(f'{name}: {reason}', file=sys.stderr)
    return FAILED


def run_command(name: str, load: Callable[[], Callable[[], int]], stopped: int | None = None
                ) -> int:
    """
    Run a command and return its exit code.

    Ctrl-C ends it with one line, and SIGTERM unwinds it too, so that the processes it started end
    with it. While it is loading, a signal ends it at once: there is nothing to undo yet.

    :param name: of the command.
    :param load: imports and returns its `main`.
    :param stopped: exit code of a command that is meant to be stopped by signals; its `main`
        handles them itself.
    """
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors='backslashreplace')  # for file names that are not valid text
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda number, _: os._exit(128 + number if stopped is None
                                                         else stopped))
    main = load()
    try:
        if stopped is None:
            signal.signal(signal.SIGINT, signal.default_int_handler)
            signal.signal(signal.SIGTERM, lambda *_: sys.exit(TERMINATED))
        code = main()
        sys.stdout.flush()
        return code
    except KeyboardInterrupt:
        print(f'\n{name}: interrupted', file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:  # of `| head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED


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


# The entry points.
node = partial(run, 'segret_node', 'segret_ros.node.program', 'ros', stopped=0)
bench = partial(run, 'segret_bench', 'segret_ros.offline.bench', 'demo')
check_contract = partial(
    run, 'segret_check_contract', 'segret_ros.offline.contract.main', 'ros')
demo = partial(run, 'segret_demo', 'segret_ros.offline.demo.main', 'demo')
engine = partial(run, 'segret_engine', 'segret_ros.inference.serving.command', 'evaluate')
evaluate = partial(run, 'segret_evaluate', 'segret_ros.offline.evaluation.main', 'evaluate')
label = partial(run, 'segret_label', 'segret_ros.offline.label', 'evaluate')
