# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""What every kind of storage file is read as."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from rosbags.interfaces import MessageDefinition, MessageDefinitionFormat

ENCODINGS = ('cdr', 'ros1')  # of messages that can be given
FORMATS = {'ros1msg': MessageDefinitionFormat.MSG, 'ros2msg': MessageDefinitionFormat.MSG,
           'ros2idl': MessageDefinitionFormat.IDL, 'omgidl': MessageDefinitionFormat.IDL}
EARLIEST_NS, LATEST_NS = -2 ** 63, 2 ** 63 - 1


@dataclass(frozen=True)
class Damage:
    """
    Something of a bag that can't be read.

    :param place: the file, and the byte where it begins, or the topic and the time of recording.
    :param problem: what is wrong there, in words.
    :param count: messages of those asked for that are known to be lost there; 0 when the bag does
        not tell.
    """

    place: str
    problem: str
    count: int


class Report:
    """The damage that is found, in order; the same problem of a place is listed once."""

    def __init__(self) -> None:
        self._counts: dict[tuple[str, str], int] = {}
        self._first_ns: dict[tuple[str, str], int] = {}

    def add(self, place: str, problem: str, count: int = 0) -> None:
        """List some damage, or add its lost messages."""
        key = place, problem
        self._counts[key] = self._counts.get(key, 0) + count

    def add_message(self, place: str, problem: str, time_ns: int) -> None:
        """List a message that was read but can't be used; the place tells the first one's time."""
        self._first_ns.setdefault((place, problem), time_ns)
        self.add(place, problem, 1)

    def damage(self) -> list[Damage]:
        """Return what is listed so far."""
        return [Damage(self._told_place(*key), key[1], count)
                for key, count in self._counts.items()]

    def _told_place(self, place: str, problem: str) -> str:
        first_ns = self._first_ns.get((place, problem))
        return printable(place) + ('' if first_ns is None else f', first at {first_ns} ns')


def printable(text: str) -> str:
    """Return a text in one line, with escapes for the bytes of file names that are no text."""
    return ''.join(sign if sign.isprintable() else ascii(sign)[1:-1] for sign in text)


@dataclass(frozen=True)
class Channel:
    """
    A topic as one publisher filled it.

    :param type_name: such as `sensor_msgs/msg/Image`.
    :param encoding: of its messages, one of `ENCODINGS` where they can be given.
    :param qos: offered by its publishers, as YAML; empty where it was not recorded.
    """

    topic: str
    type_name: str
    encoding: str
    definition: MessageDefinition
    qos: str = ''


Message = tuple[Channel, int, bytes]  # with the time of recording in nanoseconds


@dataclass(frozen=True)
class Selection:
    """The messages that are asked for: some topics', from a time on until before another."""

    topics: frozenset[str]
    start_ns: int = EARLIEST_NS
    stop_ns: int = LATEST_NS

    def wants(self, channel: Channel, time_ns: int) -> bool:
        """Tell whether a message is asked for."""
        return channel.topic in self.topics and self.start_ns <= time_ns < self.stop_ns


NOTHING = Selection(frozenset())


class Salvage(Protocol):
    """
    Reads a storage file of one format without its index, in order of the file.

    It holds a chunk or a message at a time and raises OSError only.

    :ivar channels: by id; complete after `survey`.
    :ivar start_ns: time of the first message, or None; known after `survey`.
    """

    channels: dict[int, Channel]
    start_ns: int | None

    def survey(self) -> bool:
        """Find channels and start; tell whether the file has an index to read it by."""

    def messages(self, selection: Selection, report: Report) -> Iterator[Message]:
        """Give what can be read and list what can't; after `survey`."""

    def close(self) -> None:
        """Close the file."""


def full_type_name(name: str) -> str:
    """Give a type's name as ROS 2 has it: ROS 1 leaves out the middle."""
    package, _, rest = name.partition('/')
    return name if '/' in rest or not rest else f'{package}/msg/{rest}'
