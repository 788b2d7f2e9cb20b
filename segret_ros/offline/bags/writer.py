# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Writes bags."""

from pathlib import Path

from rosbags.interfaces import Connection
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer
from segret_ros.offline.bags.message_types import TYPESTORE
from segret_ros.offline.bags.recorded import Recorded


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
