# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Bags of every format, of a few messages of the sample drive."""

from binascii import crc32
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import cache, partial
from itertools import cycle, islice
from pathlib import Path
import shutil
import struct
import sys

import lz4.frame
from rosbags.rosbag1 import Writer as Ros1Writer
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer
from rosbags.typesys import get_typestore, Stores
from segret_ros.files.share import share_directory
from segret_ros.offline.bags import read_bag, Recorded, TYPESTORE
import yaml

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

IMAGE, LABEL = '/camera/image_raw/compressed', '/camera/label/compressed'
TOPICS = [IMAGE, LABEL]
MESSAGES = 12
SQLITE, MCAP = StoragePlugin.SQLITE3, StoragePlugin.MCAP
ZSTD_MAGIC = b'\x28\xb5\x2f\xfd'
MCAP_MAGIC = b'\x89MCAP0\r\n'
COMPRESSORS: dict[str, Callable[[bytes], bytes]] = {
    '': bytes, 'zstd': zstd.compress, 'lz4': lz4.frame.compress}
IN_CHUNK = 3  # messages


@cache
def drive() -> tuple[Recorded, ...]:
    """Give the drive's first messages: images of 70 kB and labels of 4 kB by turns."""
    drive = share_directory() / 'data' / 'sample_drive'
    return tuple(islice(read_bag(drive, TOPICS), MESSAGES))


def many(count: int) -> list[Recorded]:
    """Give a longer drive: its messages again and again, at later times."""
    shift = drive()[-1].time_ns - drive()[0].time_ns + 1
    return [replace(item, time_ns=item.time_ns + number // MESSAGES * shift)
            for number, item in enumerate(islice(cycle(drive()), count))]


def content(messages: Iterable[Recorded]) -> list[tuple[str, str, int, bytes]]:
    """Give what is to be the same in every bag."""
    return [(item.topic, item.type_name, item.time_ns, item.data) for item in messages]


def rosbag2(folder: Path, messages: Iterable[Recorded] = (), plugin: StoragePlugin = MCAP,
            mode: CompressionMode = CompressionMode.NONE) -> Path:
    """Write a folder as rosbag2 does; give it."""
    writer = Writer(folder, version=9, storage_plugin=plugin)
    writer.set_compression(mode, CompressionFormat.ZSTD)
    with writer:
        connections = {}
        for item in messages or drive():
            if item.topic not in connections:
                connections[item.topic] = writer.add_connection(
                    item.topic, item.type_name, typestore=TYPESTORE)
            writer.write(connections[item.topic], item.time_ns, item.data)
    return folder


def storage_file(folder: Path) -> Path:
    """Give the one storage file of a folder."""
    return next(path for path in folder.iterdir() if path.name != 'metadata.yaml')


def rosbag2_file(folder: Path, plugin: StoragePlugin) -> Path:
    """Write a storage file without metadata; give its path."""
    rosbag2(folder, plugin=plugin)
    (folder / 'metadata.yaml').unlink()
    return storage_file(folder)


def split(folder: Path, plugin: StoragePlugin = MCAP,
          mode: CompressionMode = CompressionMode.NONE, files: int = 3) -> Path:
    """Write a bag that is split in several files; give its folder."""
    folder.mkdir()
    each = MESSAGES // files
    whole: dict = {}
    for number in range(files):
        part = rosbag2(folder / f'drive_{number + 9}',  # drive_9 comes before drive_10
                       drive()[number * each:(number + 1) * each], plugin, mode)
        info = yaml.safe_load((part / 'metadata.yaml').read_text())
        file = storage_file(part)
        shutil.move(file, folder / file.name)
        shutil.rmtree(part)
        whole = whole or info
        if number:
            add_metadata(whole['rosbag2_bagfile_information'], info['rosbag2_bagfile_information'])
    (folder / 'metadata.yaml').write_text(yaml.safe_dump(whole))
    return folder


def add_metadata(whole: dict, part: dict) -> None:
    """Add what rosbag2 writes of a further file."""
    whole['relative_file_paths'] += part['relative_file_paths']
    whole['message_count'] += part['message_count']
    whole['duration']['nanoseconds'] = (
        part['starting_time']['nanoseconds_since_epoch'] + part['duration']['nanoseconds']
        - whole['starting_time']['nanoseconds_since_epoch'])
    for topic, other in zip(whole['topics_with_message_count'],
                            part['topics_with_message_count']):
        topic['message_count'] += other['message_count']


@cache
def noetic():
    """Give the types of ROS 1."""
    return get_typestore(Stores.ROS1_NOETIC)


@dataclass
class Written:
    """A file, and up to which byte each message must be there for it to be whole."""

    path: Path
    ends: list[int]


def ros1(path: Path, compression: str = 'none',
         messages: Iterable[Recorded] = ()) -> Written:
    """Write a ROS 1 bag of some chunks."""
    writer = Ros1Writer(path)
    if compression != 'none':
        writer.set_compression(Ros1Writer.CompressionFormat[compression.upper()])
    writer.chunk_threshold = 140_000  # two images
    ends: list[int] = []
    with writer:
        connections = {}
        for number, item in enumerate(messages or drive(), 1):
            if item.topic not in connections:
                connections[item.topic] = writer.add_connection(
                    item.topic, item.type_name, typestore=noetic(), callerid='/camera')
            before = writer.bio.tell()
            data = bytes(TYPESTORE.cdr_to_ros1(item.data, item.type_name))
            writer.write(connections[item.topic], item.time_ns, data)
            if writer.bio.tell() > before:  # the chunk is full
                ends += [writer.bio.tell()] * (number - len(ends))
    ends += [path.stat().st_size] * (number - len(ends))
    if compression == 'none':
        whole = path.read_bytes()
        ends = [found_end(whole, bytes(TYPESTORE.cdr_to_ros1(item.data, item.type_name)))
                for item in messages or drive()]
    return Written(path, ends)


def found_end(whole: bytes, data: bytes) -> int:
    """Give where some bytes that lie in one piece in others end."""
    assert whole.count(data) == 1
    return whole.index(data) + len(data)


def scattered_end(whole: bytes, data: bytes) -> int:
    """Give where the last of the pieces ends that some bytes lie in others in."""
    starts = [*range(0, 5000, 16), *range(5000, len(data) - 16, 256), len(data) - 16]
    places = [(whole.find(data[start:start + 16]), start) for start in starts]
    assert sum(place >= 0 for place, _ in places) > 0.9 * len(places)
    place, start = max(places)
    same = next((index for index in range(len(data) - start)
                 if whole[place + index] != data[start + index]), len(data) - start)
    return place + same + (4 if start + same < len(data) else 0)  # where to find the next piece


def sqlite(folder: Path) -> Written:
    """Write a SQLite file, of whose messages it is known where they end."""
    path = rosbag2_file(folder, SQLITE)
    whole = path.read_bytes()
    return Written(path, [scattered_end(whole, item.data) for item in drive()])


def record(opcode: int, body: bytes) -> bytes:
    """Give a record of MCAP."""
    return struct.pack('<BQ', opcode, len(body)) + body


def text(*values: str) -> bytes:
    """Give strings as MCAP has them."""
    return b''.join(struct.pack('<I', len(value)) + value.encode() for value in values)


def mcap(path: Path, compression: str | None, messages: Iterable[Recorded] = (),
         checksum: bool = True, profile: str = 'ros2') -> Written:
    """
    Write an MCAP file as rosbag2's recorder does, without an index at its end.

    :param compression: of its chunks; None for messages without chunks.
    """
    messages = messages or drive()
    parts, ends = [MCAP_MAGIC, record(1, text(profile, 'test'))], []
    pending, times, met = b'', {}, []
    for number, item in enumerate(messages, 1):
        if item.topic not in met:
            met.append(item.topic)
            channel_id = len(met)
            definition = TYPESTORE.generate_msgdef(item.type_name, ros_version=2)[0]
            pending += record(3, struct.pack('<H', channel_id)
                              + text(item.type_name, 'ros2msg', definition))
            pending += record(4, struct.pack('<HH', channel_id, channel_id)
                              + text(item.topic, 'cdr') + text(''))
        channel_id = met.index(item.topic) + 1
        times.setdefault(channel_id, []).append((item.time_ns, len(pending)))
        pending += record(5, struct.pack('<HIQQ', channel_id, 0, item.time_ns, item.time_ns)
                          + item.data)
        if compression is not None and number % IN_CHUNK and number < len(messages):
            continue
        parts += [pending] if compression is None else [
            chunk(pending, times, compression, checksum), index(times)]
        end = sum(map(len, parts)) - (len(parts[-1]) if compression is not None else 0)
        ends += [end] * (number - len(ends))
        pending, times = b'', {}
    parts += [record(15, bytes(4)), record(2, bytes(20)), MCAP_MAGIC]
    path.write_bytes(b''.join(parts))
    return Written(path, ends)


def chunk(data: bytes, times: dict[int, list], compression: str, checksum: bool) -> bytes:
    """Give the record of a chunk."""
    stamps = [time_ns for entries in times.values() for time_ns, _ in entries]
    compressed = COMPRESSORS[compression](data)
    return record(6, struct.pack('<QQQI', min(stamps), max(stamps), len(data),
                                 crc32(data) if checksum else 0)
                  + text(compression) + struct.pack('<Q', len(compressed)) + compressed)


def index(times: dict[int, list]) -> bytes:
    """Give the records of the index behind a chunk."""
    return b''.join(
        record(7, struct.pack('<HI', channel_id, 16 * len(entries))
               + b''.join(struct.pack('<QQ', *entry) for entry in entries))
        for channel_id, entries in times.items())


MODES = {'none': CompressionMode.NONE, 'message': CompressionMode.MESSAGE,
         'file': CompressionMode.FILE, 'storage': CompressionMode.STORAGE}
FORMATS: dict[str, Callable[[Path], Path]] = {
    **{f'{name}, {mode}': partial(lambda path, plugin, mode: rosbag2(
        path / 'drive', plugin=plugin, mode=MODES[mode]), plugin=plugin, mode=mode)
       for name, plugin in (('sqlite', SQLITE), ('mcap', MCAP))
       for mode in ('none', 'message', 'file')},
    'mcap, storage': lambda path: rosbag2(path / 'drive', mode=MODES['storage']),
    'one .mcap': lambda path: rosbag2_file(path / 'drive', MCAP),
    'one .db3': lambda path: rosbag2_file(path / 'drive', SQLITE),
    'split sqlite': lambda path: split(path / 'drive', SQLITE),
    'split mcap': lambda path: split(path / 'drive', MCAP),
    'split, file': lambda path: split(path / 'drive', SQLITE, CompressionMode.FILE),
    **{f'mcap without index, {name}': partial(
        lambda path, name: mcap(path / 'drive.mcap', name).path, name=name)
       for name in (None, '', 'lz4', 'zstd')},
    **{f'ros1, {name}': partial(lambda path, name: ros1(path / 'drive.bag', name).path, name=name)
       for name in ('none', 'bz2', 'lz4')}}
CUT: dict[str, Callable[[Path], Written]] = {
    'sqlite': lambda path: sqlite(path / 'drive'),
    **{f'mcap, {name}': partial(lambda path, name: mcap(path / 'drive.mcap', name), name=name)
       for name in (None, '', 'lz4', 'zstd')},
    **{f'ros1, {name}': partial(lambda path, name: ros1(path / 'drive.bag', name), name=name)
       for name in ('none', 'bz2', 'lz4')}}
