# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Bags of every format, damaged ones too, read without a ROS installation."""

from collections.abc import Generator, Iterable, Iterator
from pathlib import Path
import re
import unicodedata
from weakref import WeakSet

from rosbags.interfaces import Qos
from rosbags.rosbag2.metadata import parse_qos
from segret_ros.offline.bags.file import last_time_ns, read_file, survey_file
from segret_ros.offline.bags.folder import (
    listed_files,
    METADATA,
    Metadata,
    read_metadata,
    unlisted_files,
)
from segret_ros.offline.bags.messages import (
    COMPRESSED_IMAGE,
    Converter,
    IMAGE,
    MessageTypes,
    Recorded,
    ros2_name,
)
from segret_ros.offline.bags.storage import (
    BagError,
    Damage,
    EARLIEST_NS,
    ENCODINGS,
    LATEST_NS,
    Report,
    Selection,
)

IMAGES = (IMAGE, COMPRESSED_IMAGE)
LEGAL_NAME = re.compile(r'(?:/[A-Za-z_][A-Za-z0-9_]*)+')
LONGEST_NAME = 200  # characters: DDS takes 246, and topics of labels add to a camera's


def open_bag(path: str | Path) -> 'Bag':
    """
    Open a bag to read, for a `with` block.

    :param path: of rosbag2's folder, or of a storage file: MCAP, SQLite, ROS 1.
    :raises BagError: for what is no bag. A damaged one is a bag.
    """
    path = Path(path)
    try:
        return Bag(path)
    except FileNotFoundError as error:
        raise BagError(f'{path}: no such bag') from error
    except OSError as error:
        raise BagError(f'{path}: not readable ({error.strerror})') from error


def read_bag(path: str | Path, topics: list[str]) -> Iterator[Recorded]:
    """
    Yield a bag's messages on some topics, in the order of recording.

    What is damaged is skipped without notice: see `Bag.damage`.

    :raises BagError: for a bag that can't be read or lacks a topic; names those it has.
    """
    with open_bag(path) as bag:
        yield from bag.messages(topics)


class Bag:
    """
    A recorded bag; open it with `open_bag`.

    What can't be read is `damage`: of files, and of messages those of another type than their
    topic's and those that can't be deserialised.

    :ivar topics: name to type such as `sensor_msgs/msg/Image`, for ROS 1 bags too. Names are as
        ROS 2 allows them. A topic with messages of several types has that of its images.
    :ivar renamed: recorded name to name, for the topics that ROS 2 does not allow.
    :ivar unread: name to type and encoding, of the topics whose encoding is not supported.
    :ivar start_ns: time of the first message; None for an empty bag.
    """

    def __init__(self, path: Path) -> None:
        self.topics: dict[str, str] = {}
        self.unread: dict[str, str] = {}
        self._qos: dict[str, list[Qos]] = {}
        self.start_ns: int | None = None
        self._path = path
        self._found, self._reading = Report(), Report()  # on opening, and in `messages`
        self._open: WeakSet[Generator[Recorded, None, None]] = WeakSet()
        self._types = MessageTypes()
        self._metadata: Metadata | None = None
        self._files = self._find_files()
        self.renamed = ros_names([*self.topics, *self.unread])
        self._recorded = {self.renamed.get(topic, topic): topic for topic in self.topics}
        self.topics = {topic: self.topics[name] for topic, name in self._recorded.items()}

    def __enter__(self) -> 'Bag':
        return self

    def __exit__(self, *exception) -> None:
        for messages in list(self._open):
            messages.close()

    @property
    def stop_ns(self) -> int | None:
        """Return the time of the last message; None if only reading the bag would show it."""
        if self._metadata:
            return self._metadata.stop_ns
        times = [last_time_ns(path) for path in self._files]
        known = [time_ns for time_ns in times if time_ns is not None]
        return max(known, default=None) if len(known) == len(times) else None

    @property
    def damage(self) -> list[Damage]:
        """Return what could not be read so far; complete when the latest `messages` ended."""
        return [*self._found.damage(), *self._reading.damage()]

    def qos(self, topic: str) -> list[Qos]:
        """Return the QoS that a topic's publishers offered, as far as it was recorded."""
        return self._qos.get(self._recorded.get(topic, topic), [])

    def messages(self, topics: list[str], start_ns: int | None = None,
                 stop_ns: int | None = None) -> Iterator[Recorded]:
        """
        Return an iterator over messages in the order of recording.

        Memory does not grow with the bag: one chunk or message is held at a time.

        :param topics: by name, or as recorded.
        :param start_ns: first time to read; None for the start.
        :param stop_ns: first time not to read; None for none.
        :raises BagError: for a topic that is not there; names those that are.
        """
        topics = [self.renamed.get(topic, topic) for topic in topics]
        if missing := set(topics) - self.topics.keys():
            raise BagError(f'{self._path}: no topic {", ".join(sorted(missing))}; it has '
                           f'{", ".join(sorted(self.topics)) or "none"}{self.unread_text()}')
        selection = Selection(frozenset(self._recorded[topic] for topic in topics),
                              EARLIEST_NS if start_ns is None else start_ns,
                              LATEST_NS if stop_ns is None else stop_ns)
        self._reading = Report()
        messages = self._messages(selection, self._reading)
        self._open.add(messages)
        return messages

    def unread_text(self) -> str:
        """Return what an error adds about `unread`; empty if that is."""
        if not self.unread:
            return ''
        listed = ', '.join(f'{topic} ({kind})' for topic, kind in sorted(self.unread.items()))
        return f'; not read are {listed}: messages are read in {" or ".join(ENCODINGS)}'

    def _find_files(self) -> list[Path]:
        """Return the storage files in order of recording; add their topics and start time."""
        if not self._path.is_dir():
            self._survey(self._path)
            return [self._path]
        metadata = self._metadata = read_metadata(self._path, self._found)
        listed = listed_files(self._path, metadata, self._found) if metadata else []
        others = unlisted_files(self._path, metadata)
        if not listed and not others:
            raise BagError(f'{self._path}: no bag: give a folder that holds .mcap, .db3 or .bag '
                           'files, or such a file')
        if metadata:
            for topic in metadata.topics:
                self._add_topic(*topic)
            self.start_ns = metadata.start_ns
        if self.start_ns is None:
            others = listed + others
        errors = []
        for path in others:
            try:
                self._survey(path)
            except BagError as error:
                errors.append(error)
        if len(errors) == len(listed + others):
            raise errors[0]
        return list(dict.fromkeys(listed + others))

    def _survey(self, path: Path) -> None:
        channels, start_ns = survey_file(path)
        for channel in channels:
            self._add_topic(channel.topic, channel.type_name, channel.encoding, channel.qos)
        starts = [start for start in (self.start_ns, start_ns) if start is not None]
        self.start_ns = min(starts, default=None)

    def _add_topic(self, topic: str, type_name: str, encoding: str, qos: str | list) -> None:
        if encoding not in ENCODINGS:
            if topic not in self.topics:
                self.unread.setdefault(topic, f'{type_name or "no type"} in {encoding}')
            return
        self.unread.pop(topic, None)
        self._qos.setdefault(topic, []).extend(_parsed_qos(qos))
        name = ros2_name(type_name)
        if self.topics.setdefault(topic, name) not in IMAGES and name in IMAGES:
            self.topics[topic] = name

    def _messages(self, selection: Selection,
                  report: Report) -> Generator[Recorded, None, None]:
        topics = {name: (topic, self.topics[topic]) for topic, name in self._recorded.items()}
        convert = Converter(topics, self._types, report)
        known = 0
        for path in self._files:
            try:
                for message in read_file(path, selection, report):
                    if recorded := convert(message, path.name):
                        known += 1
                        yield recorded
            except BagError:
                report.add(path.name, 'the file is no storage file of a bag')
            except OSError as error:
                report.add(path.name, f'the rest of the file is not readable ({error.strerror})')
        if self._metadata and selection.is_unbounded:
            known += sum(damage.count for damage in report.damage())
            expected = sum(self._metadata.counts[topic] for topic in selection.topics)
            if expected > known:
                report.add(METADATA, 'further messages that it counts are in no file',
                           expected - known)


def ros_names(names: Iterable[str]) -> dict[str, str]:
    """
    Return a name that ROS 2 allows for each that it does not; other recorders allow more.

    Names stay distinct: a number is appended to one that is taken.
    """
    names = sorted(set(names))
    taken = {name for name in names if _is_legal(name)}
    renamed = {}
    for name in names:
        if not _is_legal(name):
            base = free = _legal_name(name)
            number = 2
            while free in taken:
                free, number = f'{base}_{number}', number + 1
            renamed[name] = free
            taken.add(free)
    return renamed


def _is_legal(name: str) -> bool:
    return len(name) <= LONGEST_NAME and LEGAL_NAME.fullmatch(name) is not None


def _legal_name(name: str) -> str:
    """Return a name without accents and with `_` for what else is not allowed."""
    plain = ''.join(letter for letter in unicodedata.normalize('NFKD', name)
                    if not unicodedata.combining(letter))
    parts = [re.sub(r'\W', '_', part, flags=re.ASCII) for part in plain.split('/') if part]
    parts = [f'_{part}' if part[0].isdigit() else part for part in parts]
    return ('/' + '/'.join(parts or ['_']))[:LONGEST_NAME].rstrip('/')


def _parsed_qos(qos: str | list) -> list[Qos]:
    try:
        return parse_qos(qos)
    except Exception:  # of damaged YAML it raises many kinds; no message is lost
        return []
