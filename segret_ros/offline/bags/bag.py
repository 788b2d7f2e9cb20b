# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Bags of any kind, damaged ones too, read without a ROS installation."""

from collections.abc import Callable, Iterator
from pathlib import Path
from weakref import WeakSet

from rosbags.interfaces import Qos
from rosbags.rosbag2.metadata import parse_qos
from segret_ros.offline.bags.compression import CompressionError, decompress, ZSTD_MAGIC
from segret_ros.offline.bags.file import last_time_ns, read_file, survey_file
from segret_ros.offline.bags.folder import (
    listed_files,
    METADATA,
    Metadata,
    read_metadata,
    unlisted_files,
)
from segret_ros.offline.bags.message_types import (
    BagError,
    COMPRESSED_IMAGE,
    IMAGE,
    MessageError,
    MessageTypes,
    ros2_name,
)
from segret_ros.offline.bags.names import ros_names
from segret_ros.offline.bags.recorded import Recorded
from segret_ros.offline.bags.storage import (
    Channel,
    Damage,
    EARLIEST_NS,
    ENCODINGS,
    LATEST_NS,
    Message,
    Report,
    Selection,
)

IMAGES = (IMAGE, COMPRESSED_IMAGE)


def open_bag(path: str | Path) -> 'Bag':
    """
    Give a bag to read, for a `with` block.

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
    Give a bag's messages on some topics, in the order of recording.

    Of a damaged bag it gives what can be read, without a word: see `Bag.damage`.

    :raises BagError: for a bag that can't be read or lacks a topic; names those it has.
    """
    with open_bag(path) as bag:
        yield from bag.messages(topics)


class Bag:
    """
    A recorded bag; `open_bag` makes it.

    What can't be read of it is `damage`: of files, and of messages those that are not of their
    topic's type, that are no message of it, and that whoever reads the bag `reject`s.

    :ivar topics: name to type such as `sensor_msgs/msg/Image`, for ROS 1 bags too. Names are as
        ROS 2 allows them. A topic with messages of several types has the one of its images.
    :ivar renamed: recorded name to name, for the topics that ROS 2 does not allow.
    :ivar unread: name to type and encoding, of the topics whose encoding is not read.
    :ivar start_ns: time of the first message; None for an empty bag.
    """

    def __init__(self, path: Path) -> None:
        self.topics: dict[str, str] = {}
        self.unread: dict[str, str] = {}
        self._qos: dict[str, list[Qos]] = {}
        self.start_ns: int | None = None
        self._path = path
        self._found = Report()  # on opening
        self._reading, self._content = Report(), Report()  # of files, of messages
        self._open: WeakSet[Iterator[Recorded]] = WeakSet()
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
        """Give the time of the last message; None where the bag can't tell without being read."""
        if self._metadata:
            return self._metadata.stop_ns
        times = [last_time_ns(path) for path in self._files]
        return max(times) if times and None not in times else None

    @property
    def damage(self) -> list[Damage]:
        """Give what could not be read so far; complete when the latest `messages` have ended."""
        return [*self._found.damage(), *self._reading.damage(), *self._content.damage()]

    def qos(self, topic: str) -> list[Qos]:
        """Return what the publishers of a topic offered, as far as it was recorded."""
        return self._qos.get(self._recorded.get(topic, topic), [])

    def reject(self, recorded: Recorded, problem: str) -> None:
        """List one of the latest `messages` as damage: what it holds can't be used."""
        self._content.add_message(f'{recorded.file}, {recorded.topic}', problem, recorded.time_ns)

    def messages(self, topics: list[str], start_ns: int | None = None,
                 stop_ns: int | None = None) -> Iterator[Recorded]:
        """
        Give messages in the order of recording.

        Memory does not grow with the bag: a chunk of a file is held at a time, or one message.

        :param start_ns: first time that is asked for.
        :param stop_ns: first time that is not any more.
        :param topics: by name, or as recorded.
        :raises BagError: for a topic that is not there; names those that are.
        """
        topics = [self.renamed.get(topic, topic) for topic in topics]
        if missing := set(topics) - self.topics.keys():
            raise BagError(f'{self._path}: no topic {", ".join(sorted(missing))}; it has '
                           f'{", ".join(sorted(self.topics)) or "none"}{self.unread_text()}')
        selection = Selection(frozenset(self._recorded[topic] for topic in topics),
                              EARLIEST_NS if start_ns is None else start_ns,
                              LATEST_NS if stop_ns is None else stop_ns)
        self._reading, self._content = Report(), Report()
        messages = self._messages(selection, self._reading, self._content)
        self._open.add(messages)
        return messages

    def unread_text(self) -> str:
        """Return what an error adds on `unread`; empty where there is nothing."""
        if not self.unread:
            return ''
        listed = ', '.join(f'{topic} ({kind})' for topic, kind in sorted(self.unread.items()))
        return f'; not read are {listed}: messages are read in {" or ".join(ENCODINGS)}'

    def _find_files(self) -> list[Path]:
        """Give the storage files in order of recording; set what is known of their content."""
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
        errors = [error for path in others if (error := self._survey_of_several(path))]
        if len(errors) == len(listed + others):
            raise errors[0]
        return list(dict.fromkeys(listed + others))

    def _survey_of_several(self, path: Path) -> BagError | None:
        try:
            self._survey(path)
        except BagError as error:
            return error
        return None

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

    def _messages(self, selection: Selection, report: Report,
                  content: Report) -> Iterator[Recorded]:
        topics = {name: (topic, self.topics[topic]) for topic, name in self._recorded.items()}
        convert = _Converter(topics, self._types, content)
        given = 0
        for path in self._files:
            try:
                for message in read_file(path, selection, report):
                    given += 1
                    if recorded := convert(message, path.name):
                        yield recorded
            except BagError:
                report.add(path.name, 'the file is no storage file of a bag')
            except OSError as error:
                report.add(path.name, f'the file is not readable on ({error.strerror})')
        if self._metadata and (selection.start_ns, selection.stop_ns) == (EARLIEST_NS, LATEST_NS):
            expected = sum(self._metadata.counts.get(topic, 0) for topic in selection.topics)
            known = sum(damage.count for damage in report.damage())
            if expected > given + known:
                report.add(METADATA, 'further messages that it counts are in no file',
                           expected - given - known)


def _parsed_qos(qos: str | list) -> list[Qos]:
    try:
        return parse_qos(qos)
    except Exception:  # of damaged YAML it raises many kinds; no message is lost
        return []


class _Converter:
    """
    Makes what is recorded of what is in the files.

    :param topics: name and type of each topic, by its recorded name.
    """

    def __init__(self, topics: dict[str, tuple[str, str]], types: MessageTypes,
                 report: Report) -> None:
        self._topics = topics
        self._types = types
        self._report = report
        self._ros1: dict[Channel, Callable[[bytes], bytes]] = {}
        self._met: set[Channel] = set()
        self._problems: dict[Channel, str] = {}

    def __call__(self, message: Message, file: str) -> Recorded | None:
        """Give a message as ROS 2 has it; None, and listed as damage, if that can't be."""
        channel, time_ns, _ = message
        topic, type_name = self._topics[channel.topic]
        try:
            data = self._cdr(message, type_name)
            recorded = Recorded(topic, type_name, time_ns, data, self._types, file)
            recorded.message()
        except MessageError as error:  # each has its own text, and all are one problem
            problem = self._problems.setdefault(
                channel, f"messages can't be deserialised; of the first, {error}")
        except (CompressionError, BagError) as error:
            problem = str(error)
        except Exception:  # of the library, which raises many kinds for damaged data
            problem = 'messages are damaged'
        else:
            return recorded
        self._report.add_message(f'{file}, {topic}', problem, time_ns)
        return None

    def _cdr(self, message: Message, type_name: str) -> bytes:
        """
        Return a message's data as ROS 2 serialises them.

        :param type_name: of the topic.
        :raises BagError: for a message of another type or encoding.
        """
        channel, _, data = message
        if channel.encoding not in ENCODINGS:
            raise BagError(f'messages are in {channel.encoding}, not in '
                           f'{" or ".join(ENCODINGS)}')
        if ros2_name(channel.type_name) != type_name:
            raise BagError(f'messages are of type {channel.type_name} on a topic of {type_name}')
        if channel.encoding == 'ros1':
            return bytes(self._from_ros1(channel)(data))
        if data[:len(ZSTD_MAGIC)] == ZSTD_MAGIC:  # no CDR begins so
            data = decompress(data, 'zstd')
        if channel not in self._met:
            self._met.add(channel)
            self._types.add(channel.type_name, channel.definition)
        return data

    def _from_ros1(self, channel: Channel) -> Callable[[bytes], bytes]:
        if channel not in self._ros1:
            _, self._ros1[channel] = self._types.from_ros1(channel.type_name, channel.definition)
        return self._ros1[channel]
