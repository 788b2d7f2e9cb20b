# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""The topics of one camera."""

from collections.abc import Callable
from functools import partial
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
import numpy as np
from rclpy.lifecycle import LifecycleNode
from rclpy.qos import DurabilityPolicy, qos_policy_name_from_kind, QoSProfile, ReliabilityPolicy
from segret_ros.images.codec import decode_compressed, decode_image
from segret_ros.inference import ModelInfo, Segmentation
from segret_ros.labels.visualization import colorize, overlay
from segret_ros.node.distribution import PublisherEventCallbacks, SubscriptionEventCallbacks
from segret_ros.node.image_topic import camera_info_topic, image_topic
from segret_ros.node.parameters import Parameters
from segret_ros.node.watch import Watch
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from std_msgs.msg import Header

try:
    from vision_msgs.msg import LabelInfo, VisionClass
except ImportError:  # a pip installation; then there is no label_info topic
    LabelInfo = VisionClass = None

OUTPUTS = {'label': Image, 'confidence': Image, 'color': Image, 'overlay': Image,
           'camera_info': CameraInfo, 'status': DiagnosticArray}
RELIABLE = QoSProfile(depth=5, reliability=ReliabilityPolicy.RELIABLE)
LATCHED = QoSProfile(depth=1, reliability=ReliabilityPolicy.RELIABLE,
                     durability=DurabilityPolicy.TRANSIENT_LOCAL)


class Camera:
    """
    The subscriptions and publishers of one camera.

    :param node: that owns them.
    :param name: prefix of the topics, or empty.
    :param model: what the labels mean.
    """

    def __init__(self, node: LifecycleNode, name: str, parameters: Parameters,
                 model: ModelInfo) -> None:
        self.name = name
        self.image = image_topic(node, name, parameters)
        self._node = node
        self._reliability = ReliabilityPolicy[parameters.image_reliability.upper()]
        self._info = camera_info_topic(node, name, self.image, parameters)
        self.watch = self._new_watch()
        self._color_table = model.labels.color_table()
        self._camera_info: CameraInfo | None = None
        self._subscriptions: list[Any] = []
        self._publishers: dict[str, Any] = {}

    @property
    def route(self) -> str:
        """Return the full names of the topics that are received and published."""
        info = self._node.resolve_topic_name(self._info)
        outputs = ', '.join(publisher.topic_name for publisher in self._publishers.values())
        return f'{self.image.name} ({self.image.type_name}) and {info} -> {outputs}'

    def topic(self, name: str) -> str:
        """Return the name of a topic with the camera's prefix."""
        return f'{self.name}/{name}' if self.name else name

    def advertise(self) -> None:
        """Create the publishers."""
        for output, kind in OUTPUTS.items():
            self._publishers[output] = self._node.create_lifecycle_publisher(
                kind, self.topic(f'segmentation/{output}'), RELIABLE,
                event_callbacks=PublisherEventCallbacks(
                    incompatible_qos=partial(self._on_incompatible_subscriber, output)))
        if LabelInfo is not None:
            self._publishers['label_info'] = self._node.create_lifecycle_publisher(
                LabelInfo, self.topic('segmentation/label_info'), LATCHED)

    def subscribe(self, on_image: Callable[[Image | CompressedImage], None]) -> None:
        """Subscribe to the camera and start a new watch; `on_image` gets each message."""
        self.watch = self._new_watch()
        newest = QoSProfile(depth=1, reliability=self._reliability)
        newest_info = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
        # The camera info first, so that it can arrive before any image.
        self._subscriptions.append(self._node.create_subscription(
            CameraInfo, self._info, self._on_camera_info, newest_info))
        self._subscriptions.append(self._node.create_subscription(
            self.image.kind, self.image.subscribed, on_image, newest,
            event_callbacks=SubscriptionEventCallbacks(
                incompatible_qos=self._on_incompatible_camera)))

    def unsubscribe(self) -> None:
        """Destroy the subscriptions."""
        for subscription in self._subscriptions:
            self._node.destroy_subscription(subscription)
        self._subscriptions = []
        self._camera_info = None

    def destroy(self) -> None:
        """Destroy the subscriptions and publishers."""
        self.unsubscribe()
        for publisher in self._publishers.values():
            self._node.destroy_lifecycle_publisher(publisher)
        self._publishers = {}

    def decode(self, message: Image | CompressedImage, max_pixels: int) -> np.ndarray:
        """Return the pixels, (H, W, 3) uint8 RGB; raise an ImageError for a bad message."""
        if self.image.is_compressed:
            return decode_compressed(message, max_pixels)
        return decode_image(message, max_pixels)

    def publish_label_info(self, model: ModelInfo) -> None:
        """Latch what the label ids mean, where vision_msgs is installed."""
        if LabelInfo is None:
            return
        self._publishers['label_info'].publish(LabelInfo(
            header=Header(stamp=self._node.get_clock().now().to_msg()),
            class_map=[VisionClass(class_id=index, class_name=name)
                       for index, name in enumerate(model.labels.names)]))

    def publish_label(self, header: Header, label: np.ndarray) -> None:
        """Publish the labels of an image, (H, W) uint8, under the image's header."""
        self._publishers['label'].publish(encode_image(label, 'mono8', header))

    def publish_rest(self, header: Header, image_rgb: np.ndarray, result: Segmentation,
                     overlay_alpha: float) -> None:
        """
        Publish the other results of an image, each under the image's header.

        :param image_rgb: (H, W, 3) uint8.
        :param overlay_alpha: weight of the class colours in the overlay, 0..1.
        """
        if result.confidence is not None:
            confidence = encode_image(result.confidence, 'mono8', header)
            self._publishers['confidence'].publish(confidence)
        if self._wanted('color'):
            color = colorize(result.label, self._color_table)
            self._publishers['color'].publish(encode_image(color, 'rgb8', header))
        if self._wanted('overlay'):
            blended = overlay(image_rgb, result.label, self._color_table, overlay_alpha)
            self._publishers['overlay'].publish(encode_image(blended, 'rgb8', header))
        camera_info = self._camera_info  # the executor may clear it meanwhile
        if camera_info is not None:
            camera_info.header = header
            self._publishers['camera_info'].publish(camera_info)

    def publish_status(self, header: Header, status: DiagnosticStatus) -> None:
        """Publish how the image's result came about, under the image's header."""
        self._publishers['status'].publish(DiagnosticArray(header=header, status=[status]))

    def _new_watch(self) -> Watch:
        return Watch(self._node, self.image, self._reliability == ReliabilityPolicy.RELIABLE)

    def _wanted(self, output: str) -> bool:
        return bool(self._publishers[output].get_subscription_count())

    def _on_camera_info(self, message: CameraInfo) -> None:
        self._camera_info = message

    def _on_incompatible_camera(self, event: Any) -> None:
        policy = qos_policy_name_from_kind(event.last_policy_kind)
        advice = ': set image_reliability to best_effort' if policy == 'RELIABILITY' else ''
        self.watch.note_incompatible_qos(
            f'a publisher on {self.image.name} offers another {policy} than the node asks for, so '
            f'none of its images arrive{advice}')

    def _on_incompatible_subscriber(self, output: str, event: Any) -> None:
        topic = self._node.resolve_topic_name(self.topic(f'segmentation/{output}'))
        problem = (f'a subscriber of {topic} asks for another '
                   f'{qos_policy_name_from_kind(event.last_policy_kind)} than the node offers, so '
                   'it receives nothing: let it ask for reliable or best effort, volatile')
        self.watch.history.qos_problem = problem
        self._node.get_logger().warning(problem)


def encode_image(pixels: np.ndarray, encoding: str, header: Header) -> Image:
    """
    Return an image message without row padding.

    :param pixels: (H, W) or (H, W, 3) uint8.
    :param encoding: `mono8` or `rgb8`.
    :param header: used as it is.
    """
    height, width = pixels.shape[:2]
    message = Image(header=header, height=height, width=width, encoding=encoding, is_bigendian=0,
                    step=pixels.size // height)
    # Into the message's own array: the constructor would copy one passed to it.
    message.data.frombytes(np.ascontiguousarray(pixels).reshape(-1).data)
    return message
