# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Which topics of a bag are cameras."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
import re

from segret_ros.images.codec import holds_depth
from segret_ros.offline.bags import Bag, BagError
from segret_ros.offline.bags.messages import COMPRESSED_IMAGE, IMAGE

CAMERA_INFO = 'sensor_msgs/msg/CameraInfo'
COMPRESSED = '/compressed'
# Transports other than raw and compressed, by the ends of their topics and by their types.
OTHER_TRANSPORTS = re.compile('/(zstd|theora|ffmpeg|compressedDepth|draco|h26[45]|rle|avif|jxl)$',
                              re.IGNORECASE)
OTHER_IMAGES = re.compile('(Image|Video|FFMPEGPacket|theora_image_transport/msg/Packet)$')
# Images that are no pictures, by the names that drivers and this package's node use.
NO_PICTURES = re.compile('segmentation/|label|depth|disparity', re.IGNORECASE)


@dataclass(frozen=True)
class CameraTopic:
    """
    The images of one camera in a bag.

    :param topic: full name, as ROS 2 allows it.
    :param type_name: `sensor_msgs/msg/Image` or `sensor_msgs/msg/CompressedImage`.
    :param camera_info: topic of the CameraInfo beside it, or None.
    :param name: of the camera, as the node takes it: `front` for `/front/image_raw/compressed`,
        empty for `/image`; unique in a bag.
    """

    topic: str
    type_name: str
    camera_info: str | None
    name: str

    @property
    def is_compressed(self) -> bool:
        """Return whether the messages hold JPEG or PNG files."""
        return self.type_name == COMPRESSED_IMAGE

    @property
    def image(self) -> str:
        """Return the topic without `/compressed`: what image_transport calls the base."""
        return self.topic.removesuffix(COMPRESSED) if self.is_compressed else self.topic


def find_cameras(topics: dict[str, str], wanted: list[str]) -> list[CameraTopic]:
    """
    Return the cameras of a bag: those wanted, in that order, or all by name.

    Without `wanted`, images of labels, depth, disparity and of transports such as zstd are left
    out, and of a camera that was recorded raw and compressed the raw images are taken.

    :param topics: types of the bag's topics by name.
    :param wanted: camera topics; empty for all.
    :raises BagError: when there is no camera, or one wanted is no image topic; names those that
        the bag has.
    """
    images = {topic: CameraTopic(topic, topics[topic], None, '') for topic in sorted(topics)
              if topics[topic] in (IMAGE, COMPRESSED_IMAGE)}
    if wrong := [topic for topic in wanted if topic not in images]:
        raise BagError(f'the bag has no image topic {", ".join(wrong)}: it has '
                       f'{_listed(images or topics, topics)}')
    chosen = [images[topic] for topic in dict.fromkeys(wanted)] or [
        camera for camera in images.values() if not NO_PICTURES.search(camera.topic)
        and not _other_transport(camera.topic, images) and _raw_twin(camera.topic) not in images]
    if not chosen:
        advice = '; name the topic of a camera if there is one among them' if images else ''
        raise BagError(f'the bag has no camera: it has {_listed(topics, topics)}{advice}')
    return [CameraTopic(camera.topic, camera.type_name, _camera_info(camera, topics), name)
            for camera, name in zip(chosen, _names(chosen))]


def bag_cameras(bag: Bag, wanted: list[str]) -> list[CameraTopic]:
    """
    Return the cameras of an open bag as `find_cameras` does, without depth cameras.

    :param wanted: by name, or as recorded.
    :raises BagError: as `find_cameras`.
    """
    try:
        cameras = find_cameras(bag.topics, [bag.renamed.get(topic, topic) for topic in wanted])
    except BagError as error:
        raise BagError(f'{error}{bag.unread_text()}') from error
    if wanted:
        return cameras
    depth = {camera.topic for camera in cameras if _sends_depth(bag, camera)}
    if len(depth) == len(cameras):
        raise BagError(f'the bag has no camera: it has {_listed(depth, bag.topics)}, with depth '
                       'or 16 bit grey; name the topic of a camera if there is one among them')
    return [camera for camera in cameras if camera.topic not in depth]


def remarks(bag: Bag, cameras: list[CameraTopic]) -> list[str]:
    """
    Return sentences on topics that are not as recorded.

    They name the topics that are renamed because ROS 2 does not allow their names, and the images
    that are left out because of their transport or type.
    """
    shown = {topic for camera in cameras for topic in (camera.topic, camera.camera_info)}
    names = [f'{recorded!r} is shown as {name}: ROS 2 allows letters, digits and _ in the parts '
             'of a name, and no digit first'
             for recorded, name in bag.renamed.items() if name in shown]
    left = [topic for topic, kind in bag.topics.items()
            if topic not in shown and not NO_PICTURES.search(topic)
            and (_other_transport(topic, bag.topics) if kind == COMPRESSED_IMAGE
                 else kind != IMAGE and OTHER_IMAGES.search(kind))]
    return names + [f'{topic} ({bag.topics[topic]}) is left out: images are read from {IMAGE}, '
                    f'and from {COMPRESSED_IMAGE} of the transport compressed'
                    for topic in sorted(left)]


def _other_transport(topic: str, topics: Iterable[str]) -> bool:
    """Return whether a CompressedImage topic is of another transport, by its name or a twin."""
    base, _, transport = topic.rpartition('/')
    has_twin = base in topics or base + COMPRESSED in topics
    return OTHER_TRANSPORTS.search(topic) is not None or (
        has_twin and f'/{transport}' != COMPRESSED and 'image' not in transport.lower())


def _raw_twin(topic: str) -> str:
    """Return the topic of the same images uncompressed; empty if they are not compressed."""
    name = re.sub('[/_]compressed$', '', topic)
    return name if name != topic else ''


def _sends_depth(bag: Bag, camera: CameraTopic) -> bool:
    """Return whether a camera's first readable message is depth, as 16 bit grey mostly is."""
    for recorded in bag.messages([camera.topic]):
        message = recorded.message()
        return holds_depth(message.format if camera.is_compressed else message.encoding)
    return False


def _listed(names: Iterable[str], topics: dict[str, str]) -> str:
    return ', '.join(f'{name} ({topics[name]})' for name in sorted(names)) or 'no topics'


def _camera_info(camera: CameraTopic, topics: dict[str, str]) -> str | None:
    """Return the topic beside the images, where image_transport looks, or else below them."""
    beside = camera.image.rpartition('/')[0]
    return next((topic for topic in (f'{beside}/camera_info', f'{camera.image}/camera_info')
                 if topics.get(topic) == CAMERA_INFO), None)


def _names(cameras: list[CameraTopic]) -> list[str]:
    """Return the namespace of each camera, or its whole topic where that is not unique."""
    names = []
    for camera in cameras:
        namespace, _, last = camera.image.strip('/').rpartition('/')
        short = namespace if 'image' in last.lower() else camera.image.strip('/')
        names.append((short, camera.topic.strip('/')))
    users = Counter(name for pair in names for name in set(pair))
    return [short if users[short] == 1 else long for short, long in names]
