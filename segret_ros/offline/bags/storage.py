# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""What the readers of all storage formats share: channels, selections and the damage report."""

from collections import Counter
from dataclasses import dataclass

from rosbags.interfaces import MessageDefinition, MessageDefinitionFormat
from segret_ros.errors import printable

ENCODINGS = ('cdr', 'ros1')  # of messages that can be read
FORMATS = {'ros1msg': MessageDefinitionFormat.MSG, 'ros2msg': MessageDefinitionFormat.MSG,
           'ros2idl': MessageDefinitionFormat.IDL, 'omgidl': MessageDefinitionFormat.IDL}
NO_DEFINITION = MessageDefinition(MessageDefinitionFormat.NONE, '')
EARLIEST_NS, LATEST_NS = -2 ** 63, 2 ** 63 - 1


class BagError(ValueError):
    """A bag that can't be used; the message names it, what is wrong and what would work."""

    def __init__(self, text: str) -> None:
        super().__init__(printable(text))


@dataclass(frozen=True)
class Damage:
    """
    A part of a bag that can't be read.

    :param place: the file and the byte offset, or the topic and the time of recording.
    :param problem: what is wrong there.
    :param count: selected messages that are known to be lost there; 0 if unknown.
    """

    place: str
    problem: str
    count: int


class Report:
    """Collects damage in the order it is found; one entry for each place and problem."""

    def __init__(self) -> None:
        self._counts: Counter[tuple[str, str]] = Counter()
        self._first_ns: dict[tuple[str, str], int] = {}

    def add(self, place: str, problem: str, count: int = 0) -> None:
        """Add an entry, or add to the lost messages of an existing one."""
        self._counts[place, problem] += count

    def add_message(self, place: str, problem: str, time_ns: int) -> None:
        """Add a message that was read but can't be used; the entry keeps the first one's time."""
        self._first_ns.setdefault((place, problem), time_ns)
        self.add(place, problem, 1)

    def damage(self) -> list[Damage]:
        """Return the entries so far."""
        return [Damage(printable(key[0]) + (f', first at {self._first_ns[key]} ns'
                                            if key in self._first_ns else ''), key[1], count)
                for key, count in self._counts.items()]


@dataclass(frozen=True)
class Channel:
    """
    A topic, as recorded from its publishers.

    :param type_name: such as `sensor_msgs/msg/Image`.
    :param encoding: of its messages, one of `ENCODINGS` if they can be read.
    :param qos: offered by its publishers, as YAML; empty if not recorded.
    """

    topic: str
    type_name: str
    encoding: str
    definition: MessageDefinition
    qos: str = ''


Message = tuple[Channel, int, bytes]  # with the time of recording in nanoseconds


@dataclass(frozen=True)
class Selection:
    """Messages to read: some topics, from `start_ns` until before `stop_ns`."""

    topics: frozenset[str]
    start_ns: int = EARLIEST_NS
    stop_ns: int = LATEST_NS

    @property
    def is_unbounded(self) -> bool:
        """Return whether messages of all times are selected."""
        return (self.start_ns, self.stop_ns) == (EARLIEST_NS, LATEST_NS)

    def wants(self, channel: Channel, time_ns: int) -> bool:
        """Return whether a message is selected."""
        return channel.topic in self.topics and self.start_ns <= time_ns < self.stop_ns


NOTHING = Selection(frozenset())


def full_type_name(name: str) -> str:
    """Return a type's name as in ROS 2, with the `msg` that ROS 1 leaves out."""
    package, _, rest = name.partition('/')
    return name if '/' in rest or not rest else f'{package}/msg/{rest}'
