# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""The topics on which a camera is received, resolved as image_transport resolves them."""

from dataclasses import dataclass

from rclpy.node import Node
from segret_ros.node.parameters import Parameters
from sensor_msgs.msg import CompressedImage, Image

COMPRESSED = '/compressed'
IMAGE, COMPRESSED_IMAGE = 'sensor_msgs/msg/Image', 'sensor_msgs/msg/CompressedImage'


@dataclass(frozen=True)
class ImageTopic:
    """
    Where a camera's images are received.

    :param base: the name that a user remaps to receive another topic.
    :param subscribed: the name to subscribe to, before remapping.
    :param name: the full name, after remapping.
    :param kind: type of the messages.
    """

    base: str
    subscribed: str
    name: str
    kind: type[Image] | type[CompressedImage]

    @property
    def is_compressed(self) -> bool:
        """Return whether the messages hold JPEG or PNG files."""
        return self.kind is CompressedImage

    @property
    def type_name(self) -> str:
        """Return the type of the messages as the graph names it."""
        return COMPRESSED_IMAGE if self.is_compressed else IMAGE


def image_topic(node: Node, camera: str, parameters: Parameters) -> ImageTopic:
    """
    Return where a camera's images are received.

    image_transport resolves the name of the raw topic and appends the transport's. An explicit
    rule for `image/compressed` takes precedence, and a topic whose name ends in /compressed holds
    compressed images.
    """
    base = input_name(node, camera, 'image', parameters)
    own = input_name(node, camera, f'image{COMPRESSED}', parameters)
    raw = node.resolve_topic_name(base)
    compressed = parameters.image_transport == 'compressed'
    name = base
    if compressed and is_remapped(node, own):
        name = own
    elif compressed and not raw.endswith(COMPRESSED):
        name = raw + COMPRESSED
    compressed = compressed or raw.endswith(COMPRESSED)
    return ImageTopic(base, name, node.resolve_topic_name(name),
                      CompressedImage if compressed else Image)


def camera_info_topic(node: Node, camera: str, image: ImageTopic, parameters: Parameters) -> str:
    """
    Return the name to subscribe to for a camera's calibration.

    An explicit rule takes precedence over image_transport, which takes it from beside the images.
    """
    own = input_name(node, camera, 'camera_info', parameters)
    if is_remapped(node, own):
        return own
    return f'{image.name.removesuffix(COMPRESSED).rpartition("/")[0]}/camera_info'


def input_name(node: Node, camera: str, topic: str, parameters: Parameters) -> str:
    """
    Return the name, before remapping, of a topic that the node receives for a camera.

    A single camera also takes the rule for the name without its prefix.
    """
    prefixed = f'{camera}/{topic}' if camera else topic
    alone = len(parameters.cameras) == 1
    bare = alone and not is_remapped(node, prefixed) and is_remapped(node, topic)
    return topic if bare else prefixed


def is_remapped(node: Node, topic: str) -> bool:
    """Return whether a rule of the command line or launch file gives a topic another name."""
    return node.resolve_topic_name(topic) != node.resolve_topic_name(topic, only_expand=True)
