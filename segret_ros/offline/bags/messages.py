# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""The messages of a bag: their types, ROS 1 converted to ROS 2, and a writer for new ones."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache, partial
from pathlib import Path
import struct

import numpy as np
from rosbags.convert.converter import is_same_wireformat, migrate_bytes
from rosbags.interfaces import Connection, MessageDefinition, MessageDefinitionFormat
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer
from rosbags.typesys import get_types_from_idl, get_types_from_msg, get_typestore, Stores
from rosbags.typesys.store import Typestore
from segret_ros.errors import reason
from segret_ros.images import image_file
from segret_ros.images.error import ImageError
from segret_ros.offline.bags.compression import CompressionError, decompress, ZSTD_MAGIC
from segret_ros.offline.bags.storage import BagError, Channel, ENCODINGS, Message, Report

TYPESTORE = get_typestore(Stores.ROS2_HUMBLE)  # of the oldest distribution that is supported
IDL_RULE = '=' * 80 + '\n'  # before each type of an IDL definition
RENAMED = {'tf/msg/tfMessage': 'tf2_msgs/msg/TFMessage'}  # since ROS 1
IMAGE, COMPRESSED_IMAGE = 'sensor_msgs/msg/Image', 'sensor_msgs/msg/CompressedImage'


class MessageError(BagError):
    """Bytes that are no message of their type."""


class MessageTypes:
    """
    The types of one bag.

    Types that ROS 2 Humble has are Humble's. Other definitions are parsed when a message is
    deserialised, so that a malformed one affects its own topic only.
    """

    def __init__(self) -> None:
        self._stores: dict[str, Callable[[], Typestore]] = {}

    def add(self, type_name: str, definition: MessageDefinition) -> None:
        """Register a type's definition from a ROS 2 bag; the first of a type counts."""
        if type_name not in TYPESTORE.types and definition.format != MessageDefinitionFormat.NONE:
            self._stores.setdefault(type_name, cache(partial(_store, type_name, definition)))

    def deserialize(self, data: bytes, type_name: str):
        """
        Return a message of rosbags' classes.

        :raises BagError: for a type without a usable definition.
        :raises MessageError: for data that do not fit their type.
        """
        try:
            store = self._stores.get(type_name, _known_types)()
        except Exception as error:  # of the parser, which raises many kinds
            raise BagError(f"the bag's definition of {type_name} can't be parsed "
                           f'({reason(error)}): record the topic with another type') from error
        if type_name not in store.types:
            raise BagError(f'no definition of {type_name} is known: record into MCAP, which holds '
                           'the definitions of its messages')
        try:
            return store.deserialize_cdr(data, type_name)
        except Exception as error:  # SerdeError, but damaged data raise others too
            raise MessageError(f'{len(data)} bytes are no {type_name} ({reason(error)})'
                               ) from error

    def from_ros1(self, type_name: str,
                  definition: MessageDefinition) -> Callable[[bytes], memoryview]:
        """
        Return a function that converts messages of a ROS 1 type to CDR.

        :raises BagError: for a type without a usable definition.
        """
        try:
            source = _store(type_name, definition) if definition.data else \
                get_typestore(Stores.ROS1_NOETIC)
            name = ros2_name(type_name)
            if name not in TYPESTORE.types:
                self._stores.setdefault(name, cache(partial(_as_ros2, source, type_name)))
            target = self._stores.get(name, _known_types)()
            if is_same_wireformat(source, target, type_name, name):
                return partial(target.ros1_to_cdr, typename=name)
        except Exception as error:  # of the parser, which raises many kinds
            raise BagError(f"the definition of {type_name} can't be used ({reason(error)})"
                           ) from error
        return partial(migrate_bytes, source, target, type_name, name, {},
                       src_is2=False, dst_is2=True)


@dataclass(frozen=True)
class Recorded:
    """
    One message of a bag.

    :param topic: its name.
    :param type_name: such as `sensor_msgs/msg/Image`, for ROS 1 bags too.
    :param time_ns: when it was recorded.
    :param data: serialised (CDR), as a publisher takes it.
    :param types: of the bag that it comes from.
    """

    topic: str
    type_name: str
    time_ns: int
    data: bytes
    types: MessageTypes = field(default_factory=MessageTypes, repr=False, compare=False)

    def message(self):
        """
        Return the deserialised message, of rosbags' classes.

        :raises BagError: for a type that neither ROS 2 Humble nor the bag defines, and for data
            that do not fit it.
        """
        return self.types.deserialize(self.data, self.type_name)


class Converter:
    """
    Converts what the storage files hold to ROS 2.

    :param topics: name and type of each topic, by its recorded name.
    """

    def __init__(self, topics: dict[str, tuple[str, str]], types: MessageTypes,
                 report: Report) -> None:
        self._topics, self._types, self._report = topics, types, report
        self._ros1: dict[Channel, Callable[[bytes], memoryview]] = {}
        self._problems: dict[Channel, str] = {}

    def __call__(self, message: Message, file: str) -> Recorded | None:
        """Return a message as in ROS 2; report one that can't be converted and return None."""
        channel, time_ns, _ = message
        topic, type_name = self._topics[channel.topic]
        try:
            data = self._cdr(message, type_name)
            recorded = Recorded(topic, type_name, time_ns, data, self._types)
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

        :raises BagError: for a message of another type or encoding.
        """
        channel, _, data = message
        if channel.encoding not in ENCODINGS:
            raise BagError(f'messages are in {channel.encoding}, not in '
                           f'{" or ".join(ENCODINGS)}')
        if ros2_name(channel.type_name) != type_name:
            raise BagError(f'messages are of type {channel.type_name} on a topic of {type_name}')
        if channel.encoding == 'ros1':
            if channel not in self._ros1:
                self._ros1[channel] = self._types.from_ros1(channel.type_name, channel.definition)
            return bytes(self._ros1[channel](data))
        if data[:len(ZSTD_MAGIC)] == ZSTD_MAGIC:  # no CDR begins so
            data = decompress(data, 'zstd')
        self._types.add(channel.type_name, channel.definition)
        return data


class BagWriter:
    """
    Writes a compressed MCAP bag; use it in a `with` block.

    :param path: the bag's folder, which must not exist.
    """

    def __init__(self, path: str | Path) -> None:
        self._writer = Writer(path, version=8, storage_plugin=StoragePlugin.MCAP)
        self._writer.set_compression(CompressionMode.STORAGE, CompressionFormat.ZSTD)
        self._connections: dict[str, Connection] = {}

    def __enter__(self) -> 'BagWriter':
        self._writer.open()
        return self

    def __exit__(self, *exception) -> None:
        self._writer.close()

    def write(self, recorded: Recorded) -> None:
        """Append a message; the first one of a topic creates the topic."""
        if recorded.topic not in self._connections:
            self._connections[recorded.topic] = self._writer.add_connection(
                recorded.topic, recorded.type_name, typestore=TYPESTORE)
        self._writer.write(self._connections[recorded.topic], recorded.time_ns, recorded.data)


def serialize(topic: str, time_ns: int, message) -> Recorded:
    """Serialise a message of rosbags' classes for a bag."""
    type_name = message.__msgtype__
    return Recorded(topic, type_name, time_ns,
                    bytes(TYPESTORE.serialize_cdr(message, type_name)))


def stamp_ns(header) -> int:
    """Return the stamp of a std_msgs/Header in nanoseconds."""
    return header.stamp.sec * 1_000_000_000 + header.stamp.nanosec


def serialized_stamp_ns(data: bytes) -> int | None:
    """Return the stamp in ns of a serialised message (CDR) with a header; None if too short."""
    try:
        seconds, nanoseconds = struct.unpack_from('<iI' if data[1] & 1 else '>iI', data, 4)
    except (struct.error, IndexError):
        return None
    return seconds * 1_000_000_000 + nanoseconds


def decode_label(message) -> np.ndarray:
    """
    Decode a recorded label image.

    :param message: CompressedImage that holds a file of class ids; see `image_file`.
    :return: (H, W) uint8.
    :raises BagError: for anything else.
    """
    try:
        return image_file.decode_label(bytes(message.data), f'a label of {message.format!r}')
    except ImageError as error:
        raise BagError(str(error)) from error


def ros2_name(type_name: str) -> str:
    """Return the name that a type of ROS 1 has in ROS 2."""
    return RENAMED.get(type_name, type_name)


@cache
def _known_types() -> Typestore:
    """Return the types that a bag need not define: those of Humble, and vision_msgs."""
    store = get_typestore(Stores.ROS2_HUMBLE)
    store.register({
        **get_types_from_msg('uint16 class_id\nstring class_name', 'vision_msgs/msg/VisionClass'),
        **get_types_from_msg('std_msgs/Header header\nvision_msgs/VisionClass[] class_map\n'
                             'float32 threshold', 'vision_msgs/msg/LabelInfo')})
    return store


def _store(type_name: str, definition: MessageDefinition) -> Typestore:
    """Return a store of a type and all that its definition includes."""
    store = get_typestore(Stores.EMPTY)
    if definition.format == MessageDefinitionFormat.MSG:
        store.register(get_types_from_msg(definition.data, type_name))
        return store
    for part in definition.data.split(IDL_RULE):
        text = part.split('\n', 1)[1] if part.startswith('IDL: ') else part
        if text.strip():
            store.register(get_types_from_idl(text))
    return store


def _as_ros2(source: Typestore, type_name: str) -> Typestore:
    """Return a store of a ROS 1 type that ROS 2 Humble lacks, with the header of ROS 2."""
    text = source.generate_msgdef(type_name, ros_version=2)[0]
    known = ('std_msgs/msg/Header', 'builtin_interfaces/msg/Time',
             'builtin_interfaces/msg/Duration')
    store = get_typestore(Stores.EMPTY)
    store.register({**get_types_from_msg(text, type_name),
                    **{name: TYPESTORE.fielddefs[name] for name in known}})
    return store
