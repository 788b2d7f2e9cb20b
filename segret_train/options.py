# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Command lines of typed values, such as a recipe's, with the spelling of the other commands."""

from argparse import Action, ArgumentDefaultsHelpFormatter
from collections.abc import Sequence
import re

from jsonargparse import ArgumentError, ArgumentParser, DefaultHelpFormatter, Namespace
from segret_ros.files.share import package_version

PAIRS = ('--crop', '--scale_range')  # options of two numbers


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
        return ArgumentDefaultsHelpFormatter._get_help_string(self, action)


class OptionParser(ArgumentParser):
    """Parser that accepts `--batch-size` as well as `--batch_size`, and has `--version`."""

    def __init__(self, prog: str, description: str) -> None:
        super().__init__(prog=prog, description=description, exit_on_error=False,
                         formatter_class=PlainHelp, version=package_version())

    def parse_args(self, arguments: Sequence[str]) -> Namespace:
        """
        Parse a command line.

        :raises ArgumentError: for a usage error.
        """
        try:
            return super().parse_args(with_underscores(arguments))
        except ArgumentError as error:
            raise ArgumentError(None, with_dashes(str(error))) from error


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
