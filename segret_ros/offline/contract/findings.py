# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""What a rule has to say, and the words that the rules share; no ROS in here."""

from collections.abc import Sequence
from dataclasses import dataclass

from segret_ros.offline.contract.observation import Frame

NS_PER_S = 1_000_000_000


@dataclass(frozen=True)
class Finding:
    """
    What a rule has to say.

    :param level: `ok`, `warning` or `error`.
    :param text: what is the matter, the rule and the way out.
    """

    level: str
    topic: str
    text: str


def number_of(count: int, noun: str) -> str:
    """Return a count with its noun, in the plural where there are several."""
    return f'{count} {noun}{"" if count == 1 else "s"}'


def count_of(frames: Sequence[Frame]) -> str:
    """Return how many messages there are."""
    return number_of(len(frames), 'message')


def seconds(stamp_ns: int) -> str:
    """Return a stamp in seconds, to the nanosecond."""
    return f'{stamp_ns // NS_PER_S}.{stamp_ns % NS_PER_S:09d}'


def disorder(frames: Sequence[Frame]) -> str | None:
    """Return the first two stamps that do not increase, in words; None where all do."""
    for earlier, later in zip(frames, frames[1:]):
        if later.stamp_ns <= earlier.stamp_ns:
            return (f'stamp {seconds(later.stamp_ns)} comes after {seconds(earlier.stamp_ns)}: '
                    'stamps must increase')
    return None
