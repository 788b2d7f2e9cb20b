# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Messages that don't fit their topic are reported with place and count; the rest is read."""

from collections.abc import Callable
from pathlib import Path
import struct

from bag_files import (
    content,
    drive,
    IMAGE,
    LABEL,
    MCAP,
    MCAP_MAGIC,
    MESSAGES,
    record,
    ros1,
    rosbag2,
    rosbag2_file,
    SQLITE,
    storage_file,
    text,
    TOPICS,
)
import pytest
from rosbags.rosbag2 import StoragePlugin, Writer
from segret_ros.offline.bags import BagError, open_bag, read_bag, Recorded, serialize, TYPESTORE
from segret_ros.offline.bags.cameras import bag_cameras

STRING = 'std_msgs/msg/String'
TYPE = 'sensor_msgs/msg/CompressedImage'


def string(topic: str, time_ns: int) -> Recorded:
    return serialize(topic, time_ns, TYPESTORE.types[STRING]('hello'))


@pytest.fixture(params=['mcap', 'sqlite', 'mcap file', 'sqlite file'])
def write_kind(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[..., Path]:
    """Return what writes a bag of a kind, as a folder or as its file alone."""
    def write_it(messages: list[Recorded]) -> Path:
        plugin = MCAP if 'mcap' in request.param else SQLITE
        path = rosbag2(tmp_path / 'drive', messages, plugin)
        return storage_file(path) if 'file' in request.param else path
    return write_it


def test_of_two_types_on_a_topic_the_images_are_read(write_kind: Callable[..., Path]) -> None:
    first, *others = drive()
    strings = [string(IMAGE, first.time_ns + shift) for shift in (-1, 1)]
    with open_bag(write_kind([strings[0], first, strings[1], *others])) as bag:
        assert bag.topics == dict.fromkeys(TOPICS, TYPE)
        assert content(bag.messages(TOPICS)) == content(drive())
        damage, = bag.damage
    assert damage.count == 2
    assert damage.place.endswith(f', {IMAGE}, first at {strings[0].time_ns} ns')
    assert damage.problem == f'messages are of type {STRING} on a topic of {TYPE}'


def test_broken_messages_are_counted_and_the_others_read(write_kind: Callable[..., Path]) -> None:
    messages = list(drive())
    for number, data in ((3, b''), (5, messages[5].data[:40]), (7, b'\0\1\0\0' + b'\xff' * 80)):
        messages[number] = Recorded(LABEL, TYPE, messages[number].time_ns, data)
    with open_bag(write_kind(messages)) as bag:
        read = list(bag.messages(TOPICS))
        damage, = bag.damage
    whole = [item for number, item in enumerate(drive()) if number not in (3, 5, 7)]
    assert content(read) == content(whole)
    assert damage.count == 3
    assert damage.place.endswith(f', {LABEL}, first at {drive()[3].time_ns} ns')
    assert f'of the first, 0 bytes are no {TYPE}' in damage.problem


def test_a_broken_message_of_ros1_is_counted(tmp_path: Path) -> None:
    path = ros1(tmp_path / 'drive.bag').path
    whole = path.read_bytes()
    start = whole.index(b'jpeg', whole.index(b'jpeg') + 1) - 4  # of the second image's format
    path.write_bytes(whole[:start] + b'\xff' * 4 + whole[start + 4:])
    with open_bag(path) as bag:
        assert len(list(bag.messages(TOPICS))) == MESSAGES - 1
        assert [item.count for item in bag.damage] == [1]
        assert bag.damage[0].place.startswith(f'drive.bag, {IMAGE}, first at ')


def foreign_mcap(path: Path, encoding: str, schema: bytes, schema_id: int) -> Path:
    """Write an MCAP file of a message that is not of ROS."""
    path.write_bytes(b''.join([
        MCAP_MAGIC, record(1, text('', 'test')), schema,
        record(4, struct.pack('<HH', 1, schema_id) + text('/camera', encoding) + text('')),
        record(5, struct.pack('<HIQQ', 1, 0, 5, 5) + b'{}'), record(15, bytes(4)),
        record(2, bytes(20)), MCAP_MAGIC]))
    return path


@pytest.mark.parametrize(('encoding', 'schema', 'kind'), [
    ('protobuf', record(3, struct.pack('<H', 1) + text('foxglove.CompressedImage', 'protobuf',
                                                       'x')), 'foxglove.CompressedImage'),
    ('json', b'', 'no type')])
def test_messages_of_another_encoding_are_named_with_those_that_are_read(
        tmp_path: Path, encoding: str, schema: bytes, kind: str) -> None:
    path = foreign_mcap(tmp_path / 'drive.mcap', encoding, schema, int(bool(schema)))
    says = rf'not read are /camera \({kind} in {encoding}\): messages are read in cdr or ros1'
    with open_bag(path) as bag:
        assert bag.topics == {}
        with pytest.raises(BagError, match=says):
            bag_cameras(bag, [])
        with pytest.raises(BagError, match=says):
            bag.messages(['/camera'])


@pytest.mark.parametrize('plugin', [MCAP, SQLITE])
def test_types_without_their_middle_are_read(tmp_path: Path, plugin: StoragePlugin) -> None:
    path = tmp_path / 'drive'
    definition = TYPESTORE.generate_msgdef(TYPE, ros_version=2)[0]
    with Writer(path, version=9, storage_plugin=plugin) as writer:
        connections = {topic: writer.add_connection(
            topic, 'sensor_msgs/CompressedImage', msgdef=definition, rihs01='RIHS01_0')
            for topic in TOPICS}
        for item in drive():
            writer.write(connections[item.topic], item.time_ns, item.data)
    assert 'type: sensor_msgs/CompressedImage' in (path / 'metadata.yaml').read_text()
    for readable in (path, storage_file(path)):
        with open_bag(readable) as bag:
            assert bag.topics == dict.fromkeys(TOPICS, TYPE)
            assert content(bag.messages(TOPICS)) == content(drive())
            assert bag.damage == []
            assert [camera.type_name for camera in bag_cameras(bag, [])] == [TYPE]


@pytest.mark.parametrize('name', [
    '#1 50% ?a=b&immutable=0', 'a%20b', 'file:x', 'umläut', b'caf\xe9', '-x', "it's", ' '])
def test_a_sqlite_bag_is_sound_in_any_path(tmp_path: Path, name: str | bytes) -> None:
    folder = tmp_path / (name if isinstance(name, str) else name.decode(errors='surrogateescape'))
    path = rosbag2_file(tmp_path / 'drive', SQLITE)
    folder.mkdir()
    path = path.rename(folder / f'{folder.name}.db3')
    with open_bag(path) as bag:
        assert bag.stop_ns == drive()[-1].time_ns
        assert content(bag.messages(TOPICS)) == content(drive())
        assert bag.damage == []
    assert [item.name for item in folder.iterdir()] == [path.name]


def test_a_bag_is_read_by_relative_and_linked_paths(tmp_path: Path,
                                                    monkeypatch: pytest.MonkeyPatch) -> None:
    path = rosbag2(tmp_path / 'drive', plugin=SQLITE)
    (tmp_path / 'link').symlink_to(path)
    (tmp_path / 'link.db3').symlink_to(storage_file(path))
    monkeypatch.chdir(path)
    for name in ('.', '../drive/', 'drive.db3', '../link', '../link.db3', '../link/drive.db3'):
        with open_bag(name) as bag:
            assert content(bag.messages(TOPICS)) == content(drive()), name
            assert bag.damage == [], name


@pytest.mark.parametrize('name', ['x' * 300, 'x/' * 3000])
def test_a_path_too_long_is_one_sentence(tmp_path: Path, name: str) -> None:
    with pytest.raises(BagError, match='(no such bag|File name too long)'):
        next(read_bag(tmp_path / name, TOPICS))
