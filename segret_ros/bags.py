"""Recorded drives: rosbag2 folders or files, read and written without a ROS installation."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from rosbags.highlevel import AnyReader, AnyReaderError
from rosbags.interfaces import Connection
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer
from rosbags.typesys import get_typestore, Stores

TYPESTORE = get_typestore(Stores.ROS2_HUMBLE)  # of the oldest distribution that is supported


class BagError(ValueError):
    """A bag that can't be used; the message names it, what is wrong and what would work."""


@dataclass(frozen=True)
class Recorded:
    """
    One message of a bag.

    :param topic: its name.
    :param type_name: such as `sensor_msgs/msg/Image`.
    :param time_ns: when it was recorded.
    :param data: as serialised (CDR), which a publisher takes as it is.
    """

    topic: str
    type_name: str
    time_ns: int
    data: bytes

    def message(self):
        """Give the deserialised message, with rosbags' classes."""
        return TYPESTORE.deserialize_cdr(self.data, self.type_name)


def read_bag(path: str | Path, topics: list[str]) -> Iterator[Recorded]:
    """
    Give a bag's messages on some topics, in the order of recording.

    :raises BagError: for a bag that can't be read or lacks a topic; names those it has.
    """
    path = Path(path)
    if not path.exists():
        raise BagError(f'{path}: no such bag')
    try:
        with AnyReader([path], default_typestore=TYPESTORE) as reader:
            yield from _messages(reader, path, topics)
    except AnyReaderError as error:
        raise BagError(f'{path}: not a readable bag ({error})') from error


def _messages(reader: AnyReader, path: Path, topics: list[str]) -> Iterator[Recorded]:
    missing = set(topics) - set(reader.topics)
    if missing:
        raise BagError(f'{path}: no topic {", ".join(sorted(missing))}; it has '
                       f'{", ".join(sorted(reader.topics))}')
    connections = [connection for connection in reader.connections if connection.topic in topics]
    for connection, time_ns, data in reader.messages(connections):
        yield Recorded(connection.topic, connection.msgtype, time_ns, bytes(data))


def stamp_ns(header) -> int:
    """Give the stamp of a std_msgs/Header in nanoseconds."""
    return header.stamp.sec * 1_000_000_000 + header.stamp.nanosec


def decode_label(message) -> np.ndarray:
    """
    Give a recorded label image.

    :param message: CompressedImage that holds a grey PNG of class ids.
    :return: (H, W) uint8.
    :raises BagError: for anything else.
    """
    label = cv2.imdecode(np.asarray(message.data), cv2.IMREAD_UNCHANGED)
    if label is None or label.ndim != 2 or label.dtype != np.uint8:
        raise BagError(f'a label of format {message.format!r} is no grey 8-bit PNG of class ids')
    return label


class BagWriter:
    """
    Writes an MCAP bag, compressed; use it in a `with` block.

    :param path: of the bag's folder, which must not exist yet.
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
        """Append a message; its topic is made with the first."""
        if recorded.topic not in self._connections:
            self._connections[recorded.topic] = self._writer.add_connection(
                recorded.topic, recorded.type_name, typestore=TYPESTORE)
        self._writer.write(self._connections[recorded.topic], recorded.time_ns, recorded.data)


def serialize(topic: str, time_ns: int, message) -> Recorded:
    """Give a message of rosbags' classes as it goes into a bag."""
    type_name = message.__msgtype__
    return Recorded(topic, type_name, time_ns,
                    bytes(TYPESTORE.serialize_cdr(message, type_name)))
