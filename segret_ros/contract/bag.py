"""Looks at the label topics of a bag."""

from pathlib import Path

from rosbags.highlevel import AnyReader, AnyReaderError
from rosbags.typesys import get_types_from_msg, get_typestore, Stores
from segret_ros.bags import BagError
from segret_ros.contract.observation import (
    LABEL_INFO, MOST_FRAMES, Observation, Offer, Topic, TopicNames)

# For bags that hold no definitions; no type store of rosbags has vision_msgs.
TYPESTORE = get_typestore(Stores.ROS2_HUMBLE)
TYPESTORE.register({
    **get_types_from_msg('uint16 class_id\nstring class_name', 'vision_msgs/msg/VisionClass'),
    **get_types_from_msg('std_msgs/Header header\nvision_msgs/VisionClass[] class_map\n'
                         'float32 threshold', LABEL_INFO)})


def observe_bag(path: Path, names: TopicNames) -> Observation:
    """
    Give what a bag holds, up to `MOST_FRAMES` labels.

    :raises BagError: for a bag that can't be read.
    """
    if not path.exists():
        raise BagError(f'{path}: no such bag')
    try:
        with AnyReader([path], default_typestore=TYPESTORE) as reader:
            return Observation.of(_topics(reader, names), names, f'in {path}')
    except AnyReaderError as error:
        raise BagError(f'{path}: not a readable bag ({error})') from error


def _topics(reader: AnyReader, names: TopicNames) -> list[Topic]:
    connections = [item for item in reader.connections if item.topic in names.all()]
    topics = {item.topic: Topic(item.topic, item.msgtype) for item in connections}
    for item in connections:
        topics[item.topic].offers += [
            Offer(qos.reliability.name.lower(), qos.durability.name.lower())
            for qos in getattr(item.ext, 'offered_qos_profiles', ())]
    for connection, _, data in reader.messages(connections) if connections else ():
        topics[connection.topic].add(reader.deserialize(data, connection.msgtype))
        if connection.topic == names.label and len(topics[names.label].frames) == MOST_FRAMES:
            break
    return list(topics.values())
