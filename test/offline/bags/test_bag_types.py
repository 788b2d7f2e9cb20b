# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Messages of other types: of ROS 1, defined by the bag alone, or not at all."""

from pathlib import Path
import sqlite3

from bag_files import content, drive, IMAGE, mcap, rosbag2_file, SQLITE, TOPICS
import numpy as np
import pytest
from rosbags.rosbag1 import Writer as Ros1Writer
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import get_types_from_msg, get_typestore, Stores
from segret_ros.offline.bags import BagError, open_bag, read_bag, Recorded, TYPESTORE

LABEL_INFO = 'vision_msgs/msg/LabelInfo'
VISION_CLASS = 'uint16 class_id\nstring class_name'
DEFINITION = 'std_msgs/Header header\nvision_msgs/VisionClass[] class_map\nfloat32 threshold'


def vision_types():
    """Return a store that knows LabelInfo, as vision_msgs defines it."""
    store = get_typestore(Stores.ROS2_HUMBLE)
    store.register({**get_types_from_msg(VISION_CLASS, 'vision_msgs/msg/VisionClass'),
                    **get_types_from_msg(DEFINITION, LABEL_INFO)})
    return store


def write_vision(path: Path, definition: str | None, name: str = LABEL_INFO) -> None:
    """Write a bag of the drive and a LabelInfo, whose definition may be wrong."""
    store = vision_types()
    types = store.types
    header = types['std_msgs/msg/Header'](types['builtin_interfaces/msg/Time'](1, 2), 'camera')
    info = types[LABEL_INFO](header, [types['vision_msgs/msg/VisionClass'](3, 'road')], 0.5)
    with Writer(path, version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        image = writer.add_connection(IMAGE, drive()[0].type_name, typestore=TYPESTORE)
        label_info = writer.add_connection(
            '/info', name, rihs01='RIHS01_0',
            msgdef=store.generate_msgdef(LABEL_INFO, ros_version=2)[0] if definition is None
            else definition)
        writer.write(image, drive()[0].time_ns, drive()[0].data)
        writer.write(label_info, drive()[0].time_ns + 1, store.serialize_cdr(info, LABEL_INFO))


def test_a_type_is_read_as_the_bag_defines_it(tmp_path: Path) -> None:
    write_vision(tmp_path / 'drive', None)
    recorded = next(read_bag(tmp_path / 'drive', ['/info']))
    message = recorded.message()
    assert (message.class_map[0].class_name, message.threshold) == ('road', 0.5)


@pytest.mark.parametrize(('definition', 'says'), [
    ('?', f"definition of {LABEL_INFO} can't be parsed"),
    ('uint8 x', f'of the first, 48 bytes are no {LABEL_INFO}'), ('no/Such thing', 'no/msg/Such')])
def test_a_bad_definition_affects_its_own_topic_only(tmp_path: Path, definition: str,
                                                     says: str) -> None:
    write_vision(tmp_path / 'drive', definition, LABEL_INFO.replace('Label', 'Other'))
    with open_bag(tmp_path / 'drive') as bag:
        image, = bag.messages([IMAGE, '/info'])
        damage, = bag.damage
    assert image.message().format == 'jpeg'
    assert says.replace('Label', 'Other') in damage.problem and damage.count == 1
    assert damage.place == f'drive.mcap, /info, first at {image.time_ns + 1} ns'


def test_a_type_without_definition_is_refused_when_it_is_deserialised() -> None:
    recorded = Recorded('/info', 'vision_msgs/msg/Other', 1, bytes(8))
    with pytest.raises(BagError, match='no definition of vision_msgs/msg/Other is known: record '):
        recorded.message()


def test_old_sqlite_bags_without_definitions_are_read(tmp_path: Path) -> None:
    path = rosbag2_file(tmp_path / 'drive', SQLITE)
    with sqlite3.connect(path) as database:
        for table in ('message_definitions', 'schema', 'metadata'):
            database.execute(f'DROP TABLE {table}')
        for column in ('offered_qos_profiles', 'type_description_hash'):
            database.execute(f'ALTER TABLE topics DROP COLUMN {column}')
    database.close()
    assert content(read_bag(path, TOPICS)) == content(drive())
    path.write_bytes(path.read_bytes()[:-4096])
    with open_bag(path) as bag:
        recorded = list(bag.messages(TOPICS))
        assert bag.damage
    assert content(recorded) == content(drive())[:len(recorded)]
    assert len(recorded) > 8


def test_ros1_messages_are_converted_to_ros2(tmp_path: Path) -> None:
    store = get_typestore(Stores.ROS1_NOETIC)
    store.register(get_types_from_msg('geometry_msgs/TransformStamped[] transforms',
                                      'tf/msg/tfMessage'))
    types = store.types
    header = types['std_msgs/msg/Header'](7, types['builtin_interfaces/msg/Time'](1, 2), 'camera')
    region = types['sensor_msgs/msg/RegionOfInterest'](0, 0, 0, 0, False)
    values = np.arange(9, dtype=np.float64)
    messages = {
        '/image': types['sensor_msgs/msg/Image'](header, 2, 3, 'mono8', 0, 3,
                                                 np.arange(6, dtype=np.uint8)),
        '/camera_info': types['sensor_msgs/msg/CameraInfo'](
            header, 2, 3, 'plumb_bob', values[:5], values, values, np.arange(12.), 1, 2, region),
        '/status': types['diagnostic_msgs/msg/DiagnosticStatus'](1, 'node', 'good', 'x', []),
        '/log': types['rosgraph_msgs/msg/TopicStatistics'](
            '/a', '/b', '/c', header.stamp, header.stamp, 4, 5, 6, header.stamp, header.stamp,
            header.stamp, header.stamp, header.stamp, header.stamp),
        '/shape': types['shape_msgs/msg/SolidPrimitive'](1, values[:3]),  # ROS 2 has a field more
        '/tf': types['tf/msg/tfMessage']([])}
    with Ros1Writer(tmp_path / 'drive.bag') as writer:
        for topic, message in messages.items():
            kind = message.__msgtype__
            connection = writer.add_connection(topic, kind, typestore=store)
            writer.write(connection, 5, bytes(store.serialize_ros1(message, kind)))
    with open_bag(tmp_path / 'drive.bag') as bag:
        assert bag.topics == {**{topic: item.__msgtype__ for topic, item in messages.items()},
                              '/tf': 'tf2_msgs/msg/TFMessage'}
        read = {item.topic: item for item in bag.messages(list(messages))}
        assert bag.damage == []
    image = TYPESTORE.deserialize_cdr(read['/image'].data, 'sensor_msgs/msg/Image')
    assert (image.header.stamp.nanosec, image.header.frame_id) == (2, 'camera')
    assert image.data.tolist() == [0, 1, 2, 3, 4, 5]
    info = read['/camera_info'].message()
    assert (info.k.tolist(), info.p[11], info.binning_y) == (values.tolist(), 11, 2)
    status = read['/status'].message()
    assert (status.level, status.message) == (1, 'good')
    assert read['/log'].message().traffic == 6
    assert read['/shape'].message().dimensions.tolist() == [0, 1, 2]
    assert read['/tf'].message().transforms == []


def test_mcap_of_other_profiles_and_encodings_is_read(tmp_path: Path) -> None:
    written = mcap(tmp_path / 'drive.mcap', 'zstd', profile='')
    assert content(read_bag(written.path, TOPICS)) == content(drive())
    plain = mcap(tmp_path / 'other.mcap', None).path
    plain.write_bytes(plain.read_bytes().replace(b'\3\0\0\0cdr', b'\4\0\0\0json', 1))
    with open_bag(plain) as bag:  # the first channel's record is now damaged
        assert IMAGE not in bag.topics
