# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Why no image arrives, as far as the ROS graph shows."""

from dataclasses import dataclass
from difflib import SequenceMatcher

from rclpy.node import Node
from rclpy.qos import ReliabilityPolicy
from segret_ros.node.distribution import profile_variable, TopicEndpointInfo
from segret_ros.node.image_topic import COMPRESSED, COMPRESSED_IMAGE, IMAGE, ImageTopic

MOST_NAMED = 4  # topics in a sentence
# Transports whose messages have the type of compressed images, but other content.
OTHER_TRANSPORTS = ('/compressedDepth', '/zstd')


@dataclass(frozen=True)
class Silence:
    """
    Why a camera's images do not arrive.

    :param reason: in one sentence, with what to do about it.
    :param is_mismatch: there is a publisher, but it does not match the node's subscription.
    """

    reason: str
    is_mismatch: bool = False


def silence(node: Node, topic: ImageTopic, reliable: bool) -> Silence:
    """
    Return why a camera's images do not arrive.

    :param reliable: the node asks for a reliable publisher.
    """
    publishers = node.get_publishers_info_by_topic(topic.name)
    fitting = [item for item in publishers if item.topic_type == topic.type_name]
    if fitting:
        return _quiet_publisher(fitting, reliable)
    if publishers:
        return _other_type(topic, sorted({item.topic_type for item in publishers}))
    return Silence(_nobody(node, topic))


def _other_type(topic: ImageTopic, types: list[str]) -> Silence:
    if types[0] not in (IMAGE, COMPRESSED_IMAGE):
        advice = f'remap {topic.base} to a topic of images'
    elif not topic.is_compressed:
        advice = (f'set image_transport to compressed and remap {topic.base}{COMPRESSED} to '
                  f'{topic.name}')
    elif topic.name.endswith(COMPRESSED):
        advice = f'publish it under a name that does not end in {COMPRESSED}'
    else:
        advice = f'set image_transport to raw and remap {topic.base} to {topic.name}'
    return Silence(f'it is published as {", ".join(types)}, and the node takes {topic.type_name} '
                   f'there: {advice}', is_mismatch=True)


def _quiet_publisher(publishers: list[TopicEndpointInfo], reliable: bool) -> Silence:
    names = ', '.join(sorted({full_name(item) for item in publishers}))
    if reliable and all(item.qos_profile.reliability == ReliabilityPolicy.BEST_EFFORT
                        for item in publishers):
        return Silence(f'{names} publishes it as best effort, and the node asks for reliable: set '
                       'image_reliability to best_effort', is_mismatch=True)
    profile = 'config/fastdds.xml' if profile_variable() else 'docs/transport.md'
    return Silence(f'{names} publishes it, but nothing arrives: check the camera and its driver, '
                   f'and for large raw images the middleware ({profile})')


def _nobody(node: Node, topic: ImageTopic) -> str:
    found = similar_topics(node, topic)
    if not found:
        return 'nobody publishes it: start the camera, or give it the ROS_DOMAIN_ID of the node'
    named = ', '.join(f'{name} ({kind})' for name, kind in found[:MOST_NAMED])
    more = f' and {len(found) - MOST_NAMED} more' if len(found) > MOST_NAMED else ''
    return f'nobody publishes it, but there is {named}{more}: {_way_to(topic, *found[0])}'


def _way_to(topic: ImageTopic, name: str, type_name: str) -> str:
    """Return what to set to receive a topic of images."""
    if name == topic.name + COMPRESSED:
        return 'set image_transport to compressed'
    if topic.name == name + COMPRESSED:
        return 'set image_transport to raw'
    if type_name == COMPRESSED_IMAGE and not name.endswith(COMPRESSED):
        return f'set image_transport to compressed and remap {topic.base}{COMPRESSED} to {name}'
    if type_name == IMAGE and topic.is_compressed:
        return f'set image_transport to raw and remap {topic.base} to {name}'
    return f'remap {topic.base} to {name}'


def similar_topics(node: Node, topic: ImageTopic) -> list[tuple[str, str]]:
    """
    Return name and type of the image topics that no camera of the node uses, likeliest first.

    First the same camera in the other transport, then topics of the same type, then the rest,
    each group by the similarity of the names.
    """
    taken = [subscription.topic_name for subscription in node.subscriptions]
    found = [(name, kind) for name, kinds in node.get_topic_names_and_types() for kind in kinds
             if kind in (IMAGE, COMPRESSED_IMAGE) and name not in taken
             and not name.endswith(OTHER_TRANSPORTS) and _is_published(node, name, kind)]
    base = topic.name.removesuffix(COMPRESSED)
    return sorted(found, key=lambda item: (
        item[0].removesuffix(COMPRESSED) != base, item[1] != topic.type_name,
        -SequenceMatcher(None, item[0], topic.name).ratio(), item[0]))


def _is_published(node: Node, name: str, kind: str) -> bool:
    """Return whether a node other than this one publishes a topic."""
    return any(full_name(item) != node.get_fully_qualified_name() and item.topic_type == kind
               for item in node.get_publishers_info_by_topic(name))


def full_name(endpoint: TopicEndpointInfo) -> str:
    """Return the full name of an endpoint's node."""
    return f'{endpoint.node_namespace.rstrip("/")}/{endpoint.node_name}'
