# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Bags of every format, of a few messages of the sample drive."""

from binascii import crc32
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import cache
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
    """Return the drive's first messages: images of 70 kB and labels of 4 kB in turn."""
    drive = share_directory() / 'data' / 'sample_drive'
    return tuple(islice(read_bag(drive, TOPICS), MESSAGES))


def many(count: int) -> list[Recorded]:
    """Return a longer drive: its messages repeated, at later times."""
    shift = drive()[-1].time_ns - drive()[0].time_ns + 1
    return [replace(item, time_ns=item.time_ns + number // MESSAGES * shift)
            for number, item in enumerate(islice(cycle(drive()), count))]


def content(messages: Iterable[Recorded]) -> list[tuple[str, str, int, bytes]]:
    """Return what is the same in bags of every format."""
    return [(item.topic, item.type_name, item.time_ns, item.data) for item in messages]


def rosbag2(folder: Path, messages: Iterable[Recorded] = (), plugin: StoragePlugin = MCAP,
            mode: CompressionMode = CompressionMode.NONE) -> Path:
    """Write a folder as rosbag2 does; return it."""
    writer = Writer(folder, version=9, storage_plugin=plugin)
    writer.set_compression(mode, CompressionFormat.ZSTD)
    with writer:
        connections = {}
        for item in messages or drive():
            key = item.topic, item.type_name
            if key not in connections:
                connections[key] = writer.add_connection(*key, typestore=TYPESTORE)
            writer.write(connections[key], item.time_ns, item.data)
    return folder


def storage_file(folder: Path) -> Path:
    return next(path for path in folder.iterdir() if path.name != 'metadata.yaml')


def rosbag2_file(folder: Path, plugin: StoragePlugin) -> Path:
    rosbag2(folder, plugin=plugin)
    (folder / 'metadata.yaml').unlink()
    return storage_file(folder)


def split(folder: Path, plugin: StoragePlugin = MCAP,
          mode: CompressionMode = CompressionMode.NONE, files: int = 3) -> Path:
    """Write a bag that is split into several files; return its folder."""
    rosbag2(folder, plugin=plugin, mode=mode)
    storage_file(folder).unlink()
    info = yaml.safe_load((folder / 'metadata.yaml').read_text())
    names = info['rosbag2_bagfile_information']['relative_file_paths'] = []
    each = MESSAGES // files
    for number in range(files):  # drive_9 comes before drive_10
        part = rosbag2(folder.with_name('parts') / f'drive_{number + 9}',
                       drive()[number * each:(number + 1) * each], plugin, mode)
        names.append(storage_file(part).name)
        shutil.move(storage_file(part), folder)
    (folder / 'metadata.yaml').write_text(yaml.safe_dump(info))
    shutil.rmtree(folder.with_name('parts'))
    return folder


@cache
def noetic():
    return get_typestore(Stores.ROS1_NOETIC)


@dataclass
class Written:
    """A file, and how many bytes of it hold each message and those before."""

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
    """Return where data end that lie in one piece in a file."""
    assert whole.count(data) == 1
    return whole.index(data) + len(data)


def scattered_end(whole: bytes, data: bytes) -> int:
    """Return where the last piece ends of data that lie in pieces in a file."""
    starts = [*range(0, 5000, 16), *range(5000, len(data) - 16, 256), len(data) - 16]
    places = [(whole.find(data[start:start + 16]), start) for start in starts]
    assert sum(place >= 0 for place, _ in places) > 0.9 * len(places)
    place, start = max(places)
    same = next((index for index in range(len(data) - start)
                 if whole[place + index] != data[start + index]), len(data) - start)
    return place + same + (4 if start + same < len(data) else 0)  # where to find the next piece


def sqlite(folder: Path) -> Written:
    path = rosbag2_file(folder, SQLITE)
    whole = path.read_bytes()
    return Written(path, [scattered_end(whole, item.data) for item in drive()])


def record(opcode: int, body: bytes) -> bytes:
    return struct.pack('<BQ', opcode, len(body)) + body


def text(*values: str) -> bytes:
    """Return strings as MCAP stores them."""
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
    stamps = [time_ns for entries in times.values() for time_ns, _ in entries]
    compressed = COMPRESSORS[compression](data)
    return record(6, struct.pack('<QQQI', min(stamps), max(stamps), len(data),
                                 crc32(data) if checksum else 0)
                  + text(compression) + struct.pack('<Q', len(compressed)) + compressed)


def index(times: dict[int, list]) -> bytes:
    return b''.join(
        record(7, struct.pack('<HI', channel_id, 16 * len(entries))
               + b''.join(struct.pack('<QQ', *entry) for entry in entries))
        for channel_id, entries in times.items())


MODES = {'none': CompressionMode.NONE, 'message': CompressionMode.MESSAGE,
         'file': CompressionMode.FILE, 'storage': CompressionMode.STORAGE}
PLUGINS = {'sqlite': SQLITE, 'mcap': MCAP}
FORMATS: dict[str, Callable[[Path], Path]] = {
    **{f'{name}, {mode}': lambda path, plugin=plugin, mode=mode: rosbag2(
        path / 'drive', plugin=plugin, mode=MODES[mode])
       for name, plugin in PLUGINS.items() for mode in ('none', 'message', 'file')},
    'mcap, storage': lambda path: rosbag2(path / 'drive', mode=MODES['storage']),
    'one .mcap': lambda path: rosbag2_file(path / 'drive', MCAP),
    'one .db3': lambda path: rosbag2_file(path / 'drive', SQLITE),
    **{f'split {name}': lambda path, plugin=plugin: split(path / 'drive', plugin)
       for name, plugin in PLUGINS.items()},
    'split, file': lambda path: split(path / 'drive', SQLITE, CompressionMode.FILE)}
CUT: dict[str, Callable[[Path], Written]] = {
    'sqlite': lambda path: sqlite(path / 'drive'),
    **{f'mcap, {name}': lambda path, name=name: mcap(path / 'drive.mcap', name)
       for name in (None, '', 'lz4', 'zstd')},
    **{f'ros1, {name}': lambda path, name=name: ros1(path / 'drive.bag', name)
       for name in ('none', 'bz2', 'lz4')}}
FORMATS |= {f'{name} alone': lambda path, write=write: write(path).path
            for name, write in CUT.items() if name != 'sqlite'}
