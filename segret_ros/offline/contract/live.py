# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Observes the label topics of a live graph."""

from collections.abc import Iterator
from contextlib import contextmanager
import time

import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from segret_ros.node.distribution import use_large_image_profile
from segret_ros.offline.contract.observation import (
    CAMERA_INFO,
    COMPRESSED_IMAGE,
    IMAGE,
    LABEL_INFO,
    Observation,
    Offer,
    POINT_CLOUD,
    Topic,
    TopicNames,
)
from sensor_msgs.msg import CameraInfo, CompressedImage, Image, PointCloud2

try:
    from vision_msgs.msg import LabelInfo
except ImportError:  # a pip installation; then only the topic's type and QoS are checked
    LabelInfo = None

TYPES = {IMAGE: Image, COMPRESSED_IMAGE: CompressedImage, CAMERA_INFO: CameraInfo,
         POINT_CLOUD: PointCloud2, LABEL_INFO: LabelInfo}
LOOK_PERIOD_S = 0.1
DEPTH = 50  # of the subscriptions, as the layer's


def observe_graph(names: TopicNames, seconds: float) -> Observation:
    """
    Observe what is published for some seconds, discovery included.

    :raises RuntimeError: when the middleware fails.
    """
    use_large_image_profile()
    topics: dict[str, Topic] = {}
    with _node() as (node, executor):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            for topic in _new_topics(node, names, topics):
                topics[topic.name] = topic
                _subscribe(node, topic)
            next_look = min(end, time.monotonic() + LOOK_PERIOD_S)
            while (left := next_look - time.monotonic()) > 0:
                executor.spin_once(timeout_sec=left)
        for topic in topics.values():
            topic.offers = _offers(node, topic.name) or topic.offers
        types = {name: kinds[0] for name, kinds in node.get_topic_names_and_types()}
    return Observation.of(topics.values(), names, f'in {seconds:g} s', types)


@contextmanager
def _node() -> Iterator[tuple[Node, SingleThreadedExecutor]]:
    context = rclpy.Context()
    rclpy.init(args=[], context=context)
    try:
        node = rclpy.create_node('segret_check_contract', context=context)
        executor = SingleThreadedExecutor(context=context)
        executor.add_node(node)
        yield node, executor
        executor.shutdown()
        node.destroy_node()
    finally:
        rclpy.shutdown(context=context)


def _new_topics(node: Node, names: TopicNames, known: dict[str, Topic]) -> Iterator[Topic]:
    """Yield the topics that have publishers and are not yet known."""
    types = dict(node.get_topic_names_and_types())
    for name in names.topics:
        offers = _offers(node, name) if name in types and name not in known else []
        if offers:
            type_name = types[name][0]
            yield Topic(name, type_name, offers, readable=TYPES.get(type_name) is not None)


def _offers(node: Node, name: str) -> list[Offer]:
    return [Offer.of(endpoint.qos_profile)
            for endpoint in node.get_publishers_info_by_topic(name)]


def _subscribe(node: Node, topic: Topic) -> None:
    """Subscribe with the strictest QoS that every publisher offers."""
    if not topic.readable:
        return
    reliable = all(offer.reliability == 'reliable' for offer in topic.offers)
    latched = all(offer.durability == 'transient_local' for offer in topic.offers)
    qos = QoSProfile(
        depth=DEPTH,
        reliability=ReliabilityPolicy.RELIABLE if reliable else ReliabilityPolicy.BEST_EFFORT,
        durability=(DurabilityPolicy.TRANSIENT_LOCAL if latched else DurabilityPolicy.VOLATILE))
    node.create_subscription(TYPES[topic.type_name], topic.name, topic.add, qos)
