# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Command lines of typed values, such as a recipe's, with the spelling of the other commands."""

from argparse import Action, ArgumentDefaultsHelpFormatter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
import re
from typing import Any

from jsonargparse import ArgumentError, ArgumentParser, DefaultHelpFormatter
from segret_ros.files.share import package_version

PAIRS = ('--crop', '--scale_range')  # options of two numbers


class OptionError(ValueError):
    """An option or a value that can't be used; names it and the rule, in one line."""


class PlainHelp(DefaultHelpFormatter):
    """Help with dashes in options, and without the names of Python types."""

    def format_help(self) -> str:
        """Format the help; `_` and `-` are equally wide, so columns stay aligned."""
        return with_dashes(super().format_help())

    def _format_args(self, action: Action, default_metavar: str) -> str:
        return 'A B' if f'--{action.dest}' in PAIRS else super()._format_args(
            action, default_metavar)

    def _get_help_string(self, action: Action) -> str:
        if isinstance(action.default, tuple):
            return f'{action.help} (default: {" ".join(map(str, action.default))})'
        if action.default is None:
            return action.help or ''
        return ArgumentDefaultsHelpFormatter._get_help_string(self, action) or ''


class OptionParser(ArgumentParser):
    """Parser that accepts `--batch-size` as well as `--batch_size`, and has `--version`."""

    def __init__(self, prog: str, description: str) -> None:
        super().__init__(prog=prog, description=description, exit_on_error=False,
                         formatter_class=PlainHelp, version=package_version())

    def parse(self, arguments: Sequence[str]) -> dict[str, Any]:
        """
        Parse a command line into values of Python's own types, which a saved state can hold.

        :raises OptionError: for a usage error.
        """
        with one_line_errors():
            values = vars(self.parse_args(with_underscores(arguments)))
        return {name: plain(value) for name, value in values.items()}


@contextmanager
def one_line_errors() -> Iterator[None]:
    """Turn jsonargparse's errors into `OptionError`."""
    try:
        yield
    except ArgumentError as error:
        raise OptionError(' '.join(with_dashes(str(error)).split())) from error


def plain(value: object) -> Any:
    """Convert jsonargparse's number types to Python's own."""
    if isinstance(value, (list, tuple)):
        return type(value)(map(plain, value))
    return next((kind(value) for kind in (bool, int, float) if isinstance(value, kind)), value)


def with_underscores(arguments: Sequence[str]) -> list[str]:
    """Spell options like the names in Python, and two numbers, `--crop 256 320`, as a list."""
    words = [re.sub('^--[^=]+', lambda option: '--' + option[0][2:].replace('-', '_'), argument)
             for argument in arguments]
    for place in reversed(range(len(words) - 2)):
        pair = words[place + 1:place + 3]
        if words[place] in PAIRS and not any(word.startswith(('[', '--')) for word in pair):
            words[place + 1:place + 3] = [f'[{",".join(pair)}]']
    return words


def with_dashes(text: str) -> str:
    """Spell the options in a text with dashes."""
    return re.sub('--[a-z_]+', lambda option: option[0].replace('_', '-'), text)
