# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""What is seen of a camera's label topics, on a live graph or in a bag; no ROS in here."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from segret_ros.errors import printable
from segret_ros.images.error import ImageError
from segret_ros.images.image_file import stored_size

IMAGE = 'sensor_msgs/msg/Image'
COMPRESSED_IMAGE = 'sensor_msgs/msg/CompressedImage'
CAMERA_INFO = 'sensor_msgs/msg/CameraInfo'
LABEL_INFO = 'vision_msgs/msg/LabelInfo'
POINT_CLOUD = 'sensor_msgs/msg/PointCloud2'
DEFAULT_LABEL = 'segmentation/label'
MAX_FRAMES = 300  # that are checked
FLOAT32 = 7  # PointField.FLOAT32
CAMERA_TOPICS = ('image', 'image/compressed', 'camera_info', 'segmentation/camera_info',
                 'image_raw', 'image_raw/compressed')
NS_PER_S = 1_000_000_000


@dataclass(frozen=True)
class Finding:
    """
    The result of a rule.

    :param level: `ok`, `warning` or `error`.
    :param text: what was found, the rule and the way out.
    """

    level: str
    topic: str
    text: str


@dataclass(frozen=True)
class Offer:
    """The QoS that a publisher offers, such as `best_effort` and `transient_local`."""

    reliability: str
    durability: str

    @classmethod
    def of(cls, qos: Any) -> 'Offer':
        """Read a QoS profile of rclpy or of rosbags."""
        return cls(qos.reliability.name.lower(), qos.durability.name.lower())


@dataclass(frozen=True)
class Frame:
    """
    The layout of an image or cloud; of a CameraInfo stamp and size alone.

    A compressed image whose size can't be read is 0 x 0.

    :param encoding: of a cloud the names of its float32 fields: `x y z rgb`.
    :param data_size: bytes of pixels or points and padding.
    :param ids: the label ids that occur.
    :param point_step: bytes of one point of a cloud.
    :param frame_id: of an Image or a cloud.
    """

    stamp_ns: int
    height: int
    width: int
    encoding: str = ''
    step: int = 0
    data_size: int = 0
    ids: frozenset[int] = frozenset()
    point_step: int = 0
    frame_id: str = ''

    @property
    def size(self) -> str:
        """Return height and width for a message."""
        return f'{self.height} x {self.width}'


@dataclass
class Topic:
    """
    What is seen of one topic.

    :param type_name: such as `sensor_msgs/msg/Image`; empty if there is no such topic.
    :param offers: of its publishers, as far as known.
    :param frames: of its messages, in order of arrival.
    :param classes: id and name of the newest LabelInfo; None if none was read.
    :param readable: whether the messages' type is installed.
    """

    name: str
    type_name: str = ''
    offers: list[Offer] = field(default_factory=list)
    frames: list[Frame] = field(default_factory=list)
    classes: list[tuple[int, str]] | None = None
    readable: bool = True

    def add(self, message: Any) -> None:
        """Add a message of the topic's type; of images and clouds the first `MAX_FRAMES`."""
        if self.type_name == LABEL_INFO:
            self.classes = [(item.class_id, item.class_name) for item in message.class_map]
        elif self.type_name in FRAME_OF and len(self.frames) < MAX_FRAMES:
            self.frames.append(FRAME_OF[self.type_name](message))

    def ok(self, text: str) -> Finding:
        """Return a finding that a demand is met."""
        return Finding('ok', self.name, text)

    def warning(self, text: str) -> Finding:
        """Return a finding that a demand may not be met, or not always."""
        return Finding('warning', self.name, text)

    def error(self, text: str) -> Finding:
        """Return a finding that a demand is not met."""
        return Finding('error', self.name, text)


@dataclass(frozen=True)
class TopicNames:
    """
    The topics of one camera.

    :param camera: candidates for the camera's images or CameraInfo, the best first.
    :param cloud: None if not asked for.
    """

    label: str
    confidence: str
    label_info: str
    camera: tuple[str, ...]
    cloud: str | None = None

    @classmethod
    def of(cls, label: str | None, camera: str | None = None,
           cloud: str | None = None) -> 'TopicNames':
        """
        Return the names beside a label topic, as the node publishes them.

        :param label: None for that of a camera without a name.
        :param camera: topic of the camera's Image, CompressedImage or CameraInfo; None for those
            that the node takes by default.
        :param cloud: topic of the points of the camera's pixels.
        :raises ValueError: for a label topic without a namespace.
        """
        folder, _, name = ('/' + (label or DEFAULT_LABEL).strip('/')).rpartition('/')
        if not folder or not name:
            raise ValueError(f'label topic {label!r} is in no namespace: confidence and '
                             'label_info are looked for beside it, so name it like '
                             '/segmentation/label')
        base = folder.rpartition('/')[0]

        def absolute(item: str) -> str:
            return item if item.startswith('/') else f'{base}/{item}'

        return cls(label=f'{folder}/{name}', confidence=f'{folder}/confidence',
                   label_info=f'{folder}/label_info',
                   camera=tuple(map(absolute, (camera,) if camera else CAMERA_TOPICS)),
                   cloud=absolute(cloud) if cloud else None)

    @property
    def topics(self) -> tuple[str, ...]:
        """Return all names."""
        clouds = (self.cloud,) if self.cloud else ()
        return (self.label, self.confidence, self.label_info, *self.camera, *clouds)


@dataclass(frozen=True)
class Observation:
    """
    What is seen of one camera.

    :param camera: its Image, CompressedImage or CameraInfo; without a type if there is none.
    :param where: it was seen, such as `in 5 s`; goes into the findings.
    :param types: of all topics there are, by name.
    :param cloud: None if not asked for.
    :param unread: what could not be read, and so can't be checked.
    """

    label: Topic
    confidence: Topic
    label_info: Topic
    camera: Topic
    where: str
    types: Mapping[str, str]
    cloud: Topic | None = None
    unread: tuple[Finding, ...] = ()

    @classmethod
    def of(cls, topics: Iterable[Topic], names: TopicNames, where: str, types: Mapping[str, str],
           unread: Iterable[Finding] = ()) -> 'Observation':
        """Assign the topics their roles; the camera's is the first that was read."""
        found = {topic.name: topic for topic in topics}
        cameras = [found[name] for name in names.camera if name in found and found[name].frames]
        label, confidence, label_info = (
            found.get(name, Topic(name))
            for name in (names.label, names.confidence, names.label_info))
        camera = cameras[0] if cameras else Topic(names.camera[0])
        cloud = found.get(names.cloud, Topic(names.cloud)) if names.cloud else None
        return cls(label, confidence, label_info, camera, where, types, cloud, tuple(unread))


def observe_bag(path: Path, label: str | None, camera: str | None = None,
                cloud: str | None = None) -> Observation:
    """
    Read the topics of a bag, up to `MAX_FRAMES` labels.

    :param label, camera, cloud: as of `TopicNames.of`; without a label the bag's only label topic
        will do.
    :raises BagError: for a bag that can't be read.
    :raises ModuleNotFoundError: if rosbags is not installed.
    """
    from segret_ros.offline.bags import open_bag

    with open_bag(path) as bag:
        if label is None and len(found := label_topics(bag.topics)) == 1:
            label, = found
        names = TopicNames.of(label, camera, cloud)
        topics = {name: Topic(name, bag.topics[name], list(map(Offer.of, bag.qos(name))))
                  for name in names.topics if name in bag.topics}
        for recorded in bag.messages(list(topics)):
            topics[recorded.topic].add(recorded.message())
            if recorded.topic == names.label and len(topics[names.label].frames) == MAX_FRAMES:
                break
        unread = [Finding('warning', item.place, f'not checked{lost}: {item.problem}')
                  for item in bag.damage
                  for lost in [f' ({number_of(item.count, "message")})' if item.count else '']]
        return Observation.of(topics.values(), names, f'in {printable(str(path))}', bag.topics,
                              unread)


def label_topics(types: Mapping[str, str]) -> list[str]:
    """Return the names of topics that look like labels."""
    return sorted(name for name, kind in types.items()
                  if kind == IMAGE and name.endswith('/label'))


def partners(frames: Iterable[Frame],
             others: Sequence[Frame]) -> Iterable[tuple[Frame, Frame]]:
    """Return each frame with the other one of its stamp, or else with the last."""
    by_stamp = {frame.stamp_ns: frame for frame in others}
    return ((frame, by_stamp.get(frame.stamp_ns, others[-1])) for frame in frames)


def layout_faults(frames: Sequence[Frame], faults: Iterable[str | None],
                  advice: str) -> Iterator[str]:
    """
    Yield the first fault of a frame, and what is wrong with the order of stamps.

    :param faults: of each frame; None for a sound one.
    :param advice: how to put the stamps right.
    """
    if fault := next(filter(None, faults), None):
        yield fault
    for earlier, later in zip(frames, frames[1:]):
        if later.stamp_ns <= earlier.stamp_ns:
            yield (f'stamp {seconds(later.stamp_ns)} comes after {seconds(earlier.stamp_ns)}: '
                   f'stamps must increase, so {advice}')
            return


def number_of(count: int, noun: str) -> str:
    """Return a count with its noun, which takes an s in the plural."""
    return f'{count} {noun}{"" if count == 1 else "s"}'


def count_of(frames: Sequence[Frame]) -> str:
    """Return the number of messages."""
    return number_of(len(frames), 'message')


def seconds(stamp_ns: int) -> str:
    """Return a stamp in seconds, to the nanosecond."""
    return f'{stamp_ns // NS_PER_S}.{stamp_ns % NS_PER_S:09d}'


def _stamp_ns(message: Any) -> int:
    stamp = message.header.stamp
    return stamp.sec * NS_PER_S + stamp.nanosec


def _image_frame(message: Any) -> Frame:
    data = np.frombuffer(message.data, np.uint8)
    ids: frozenset[int] = frozenset()
    if message.encoding == 'mono8' and 0 < message.step * message.height == data.size:
        rows = data.reshape(message.height, message.step)[:, :message.width]
        ids = frozenset(np.flatnonzero(np.bincount(rows.ravel())).tolist())
    return Frame(_stamp_ns(message), message.height, message.width, message.encoding, message.step,
                 data.size, ids, frame_id=message.header.frame_id)


def _compressed_frame(message: Any) -> Frame:
    try:
        height, width = stored_size(bytes(message.data), 'a camera image')
    except ImageError:
        height, width = 0, 0
    return Frame(_stamp_ns(message), height, width)


def _cloud_frame(message: Any) -> Frame:
    fields = ' '.join(item.name for item in message.fields if item.datatype == FLOAT32)
    return Frame(_stamp_ns(message), message.height, message.width, fields, message.row_step,
                 len(message.data), point_step=message.point_step,
                 frame_id=message.header.frame_id)


FRAME_OF = {IMAGE: _image_frame, COMPRESSED_IMAGE: _compressed_frame,
            CAMERA_INFO: lambda message: Frame(_stamp_ns(message), message.height, message.width),
            POINT_CLOUD: _cloud_frame}
