# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Bags of label topics, sound but for what a test changes."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from rosbags.interfaces import (
    Qos,
    QosDurability,
    QosHistory,
    QosLiveliness,
    QosReliability,
    QosTime,
)
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import get_types_from_msg, get_typestore, Stores

TYPESTORE = get_typestore(Stores.ROS2_JAZZY)
# As vision_msgs defines them.
TYPESTORE.register({
    **get_types_from_msg('uint16 class_id\nstring class_name', 'vision_msgs/msg/VisionClass'),
    **get_types_from_msg('std_msgs/Header header\nvision_msgs/VisionClass[] class_map\n'
                         'float32 threshold', 'vision_msgs/msg/LabelInfo')})
Header, Image, CompressedImage, CameraInfo, RegionOfInterest, Time, LabelInfo, VisionClass = [
    TYPESTORE.types[name] for name in (
        'std_msgs/msg/Header', 'sensor_msgs/msg/Image', 'sensor_msgs/msg/CompressedImage',
        'sensor_msgs/msg/CameraInfo', 'sensor_msgs/msg/RegionOfInterest',
        'builtin_interfaces/msg/Time', 'vision_msgs/msg/LabelInfo', 'vision_msgs/msg/VisionClass')]
PointCloud2, PointField = [TYPESTORE.types[f'sensor_msgs/msg/{name}']
                           for name in ('PointCloud2', 'PointField')]
HEIGHT, WIDTH = 12, 16
FRAMES = 5
FIRST_NS = 1_700_000_000_999_999_937
PERIOD_NS = 66_666_667
NAMES = ('road', 'car', 'tree')
FAR = QosTime(2147483647, 4294967295)
IMAGE, LABEL, CONFIDENCE, LABEL_INFO, CLOUD = (
    '/front/image', '/front/segmentation/label', '/front/segmentation/confidence',
    '/front/segmentation/label_info', '/front/points')
POINT_STEP = 16  # x, y, z and padding, as depth_image_proc's


def qos(reliability: str, durability: str) -> Qos:
    """Return a QoS profile as a recorder stores it."""
    return Qos(QosHistory.KEEP_LAST, 5, QosReliability[reliability], QosDurability[durability],
               FAR, FAR, QosLiveliness.AUTOMATIC, FAR, False)


def header(stamp_ns: int) -> object:
    return Header(Time(stamp_ns // 10**9, stamp_ns % 10**9), 'camera')


def image(pixels: np.ndarray, stamp_ns: int, encoding: str) -> object:
    """Return an image message without padding, of (H, W) or (H, W, 3) uint8."""
    height, width = pixels.shape[:2]
    return Image(header(stamp_ns), height, width, encoding, 0, pixels.size // height,
                 pixels.reshape(-1))


def camera_info(image_header: object) -> object:
    region = RegionOfInterest(0, 0, 0, 0, False)
    return CameraInfo(image_header, HEIGHT, WIDTH, 'plumb_bob', np.zeros(5), np.eye(3).reshape(-1),
                      np.eye(3).reshape(-1), np.eye(3, 4).reshape(-1), 0, 0, region)


def label_info(*names: str) -> object:
    return LabelInfo(header(FIRST_NS), [VisionClass(index, name)
                                        for index, name in enumerate(names)], 0.0)


def cloud(stamp_ns: int, height: int = HEIGHT, width: int = WIDTH,
          axes: str = 'xyz') -> object:
    fields = [PointField(axis, 4 * index, 7, 1) for index, axis in enumerate(axes)]
    row_step = POINT_STEP * width
    return PointCloud2(header(stamp_ns), height, width, fields, False, POINT_STEP, row_step,
                       np.zeros(height * row_step, np.uint8), False)


@dataclass
class Drive:
    """What goes into a bag: messages and QoS by topic."""

    messages: dict[str, list] = field(default_factory=dict)
    offers: dict[str, list[Qos]] = field(default_factory=dict)

    def change(self, topic: str, *numbers: int) -> Callable[..., None]:
        """Return a setter of attributes of some messages of a topic, of all without numbers."""
        def set_attributes(**values: object) -> None:
            for number in numbers or range(len(self.messages[topic])):
                for name, value in values.items():
                    setattr(self.messages[topic][number], name, value)
        return set_attributes

    def write(self, path: Path, plugin: StoragePlugin = StoragePlugin.MCAP) -> Path:
        with Writer(path, version=9, storage_plugin=plugin) as writer:
            for topic, messages in self.messages.items():
                kind = messages[0].__msgtype__
                connection = writer.add_connection(
                    topic, kind, typestore=TYPESTORE,
                    offered_qos_profiles=self.offers.get(topic, ()))
                for number, message in enumerate(messages):
                    writer.write(connection, FIRST_NS + number * PERIOD_NS,
                                 TYPESTORE.serialize_cdr(message, kind))
        return path


def sound_drive() -> Drive:
    """Return a drive without faults; its ids are 0, 1, 2 and 255."""
    label = np.arange(HEIGHT * WIDTH, dtype=np.uint8).reshape(HEIGHT, WIDTH) % 3
    label[0, 0] = 255
    stamps = [FIRST_NS + number * PERIOD_NS for number in range(FRAMES)]
    picture = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    reliable = [qos('RELIABLE', 'VOLATILE')]
    return Drive(
        {LABEL_INFO: [label_info(*NAMES)],
         IMAGE: [image(picture, stamp, 'rgb8') for stamp in stamps],
         LABEL: [image(label, stamp, 'mono8') for stamp in stamps],
         CONFIDENCE: [image(255 - label, stamp, 'mono8') for stamp in stamps]},
        {IMAGE: [qos('BEST_EFFORT', 'VOLATILE')], LABEL: reliable, CONFIDENCE: reliable,
         LABEL_INFO: [qos('RELIABLE', 'TRANSIENT_LOCAL')]})
