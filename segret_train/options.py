# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Command lines of typed values, such as those of a recipe, spelt as all other commands do."""

from argparse import Action, ArgumentDefaultsHelpFormatter
from collections.abc import Sequence
import re

from jsonargparse import ArgumentError, ArgumentParser, DefaultHelpFormatter, Namespace
from segret_ros.files.share import package_version


class PlainHelp(DefaultHelpFormatter):
    """Shows options with dashes, and no names of Python's types."""

    def format_help(self) -> str:
        """Return the help text; `_` and `-` are equally wide, so that its columns stay."""
        return with_dashes(super().format_help())

    def _get_help_string(self, action: Action) -> str:
        if action.default is None:
            return action.help or ''
        return ArgumentDefaultsHelpFormatter._get_help_string(self, action)


class OptionParser(ArgumentParser):
    """Takes `--batch-size` and `--batch_size` alike, and `--version`."""

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
    """Return a command line whose options are spelt as the values' names in Python."""
    return [re.sub('^--[^=]+', lambda option: '--' + option[0][2:].replace('-', '_'), argument)
            for argument in arguments]


def with_dashes(text: str) -> str:
    """Return a text whose options are spelt with dashes."""
    return re.sub('--[a-z_]+', lambda option: option[0].replace('_', '-'), text)
