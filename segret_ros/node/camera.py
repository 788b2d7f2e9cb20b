# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""The topics of one camera."""

from collections.abc import Callable
from functools import partial

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
import numpy as np
from rclpy.lifecycle import LifecycleNode
from rclpy.qos import DurabilityPolicy, qos_policy_name_from_kind, QoSProfile, ReliabilityPolicy
from segret_ros.images.codec import decode_compressed, decode_image
from segret_ros.inference import ModelInfo, Segmentation
from segret_ros.labels.visualization import colorize, overlay
from segret_ros.node.distribution import PublisherEventCallbacks, SubscriptionEventCallbacks
from segret_ros.node.image_topic import camera_info_topic, image_topic
from segret_ros.node.messages import encode_image, key_values
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
    Publishers and subscriptions of one camera; the topics are those of the README.

    :param node: they belong to it.
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
        self._subscriptions = []
        self._publishers = {}

    @property
    def route(self) -> str:
        """Return what is received and what is published, by the full names of the topics."""
        info = self._node.resolve_topic_name(self._info)
        outputs = ', '.join(publisher.topic_name for publisher in self._publishers.values())
        return f'{self.image.name} ({self.image.type_name}) and {info} -> {outputs}'

    def topic(self, name: str) -> str:
        """Give the camera's own name of a topic."""
        return f'{self.name}/{name}' if self.name else name

    def advertise(self) -> None:
        """Make the publishers."""
        for output, kind in OUTPUTS.items():
            self._publishers[output] = self._node.create_lifecycle_publisher(
                kind, self.topic(f'segmentation/{output}'), RELIABLE,
                event_callbacks=PublisherEventCallbacks(
                    incompatible_qos=partial(self._on_incompatible_subscriber, output)))
        if LabelInfo is not None:
            self._publishers['label_info'] = self._node.create_lifecycle_publisher(
                LabelInfo, self.topic('segmentation/label_info'), LATCHED)

    def subscribe(self, on_image: Callable[[Image | CompressedImage], None]) -> None:
        """Start to listen to the camera, and to count; `on_image` gets each message."""
        self.watch = self._new_watch()
        newest = QoSProfile(depth=1, reliability=self._reliability)
        newest_info = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
        # The camera info first: an image never comes before the node can hear of its camera.
        self._subscriptions.append(self._node.create_subscription(
            CameraInfo, self._info, self._on_camera_info, newest_info))
        self._subscriptions.append(self._node.create_subscription(
            self.image.kind, self.image.subscribed, on_image, newest,
            event_callbacks=SubscriptionEventCallbacks(
                incompatible_qos=self._on_incompatible_camera)))

    def unsubscribe(self) -> None:
        """Stop listening."""
        for subscription in self._subscriptions:
            self._node.destroy_subscription(subscription)
        self._subscriptions = []
        self._camera_info = None

    def destroy(self) -> None:
        """Take the camera's topics off the graph."""
        self.unsubscribe()
        for publisher in self._publishers.values():
            self._node.destroy_lifecycle_publisher(publisher)
        self._publishers = {}

    def decode(self, message: Image | CompressedImage, max_pixels: int) -> np.ndarray:
        """Give the message's pixels, (H, W, 3) uint8 RGB; ImageError for a bad message."""
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
        """Publish the labels of an image, (H, W) uint8, with the image's own header."""
        self._publishers['label'].publish(encode_image(label, 'mono8', header))

    def publish_rest(self, header: Header, image_rgb: np.ndarray, result: Segmentation,
                     overlay_alpha: float) -> None:
        """
        Publish what else was found in an image, every message with the image's own header.

        :param image_rgb: (H, W, 3) uint8.
        :param overlay_alpha: share of the colours in the overlay, 0..1.
        """
        self._publishers['confidence'].publish(encode_image(result.confidence, 'mono8', header))
        if self._wanted('color'):
            color = colorize(result.label, self._color_table)
            self._publishers['color'].publish(encode_image(color, 'rgb8', header))
        if self._wanted('overlay'):
            blended = overlay(image_rgb, result.label, self._color_table, overlay_alpha)
            self._publishers['overlay'].publish(encode_image(blended, 'rgb8', header))
        camera_info = self._camera_info  # the executor may take it away meanwhile
        if camera_info is not None:
            camera_info.header = header
            self._publishers['camera_info'].publish(camera_info)

    def publish_status(self, header: Header, model: str, problem: str,
                       values: dict[str, object]) -> None:
        """
        Publish how the image's result came about, with the image's stamp.

        :param problem: why the result is not to be trusted; empty where it is.
        """
        status = DiagnosticStatus(
            level=DiagnosticStatus.WARN if problem else DiagnosticStatus.OK, hardware_id=model,
            name=self.topic('segmentation'), message=problem or 'valid',
            values=key_values({'valid': str(not problem).lower(), 'reason': problem, **values}))
        self._publishers['status'].publish(DiagnosticArray(header=header, status=[status]))

    def _new_watch(self) -> Watch:
        return Watch(self._node, self.image, self._reliability == ReliabilityPolicy.RELIABLE)

    def _wanted(self, output: str) -> bool:
        return self._publishers[output].get_subscription_count() > 0

    def _on_camera_info(self, message: CameraInfo) -> None:
        self._camera_info = message

    def _on_incompatible_camera(self, event) -> None:
        policy = qos_policy_name_from_kind(event.last_policy_kind)
        advice = ': set image_reliability to best_effort' if policy == 'RELIABILITY' else ''
        self.watch.note_incompatible_qos(
            f'a publisher on {self.image.name} offers another {policy} than the node asks for, so '
            f'none of its images arrive{advice}')

    def _on_incompatible_subscriber(self, output: str, event) -> None:
        topic = self._node.resolve_topic_name(self.topic(f'segmentation/{output}'))
        problem = (f'a subscriber of {topic} asks for another '
                   f'{qos_policy_name_from_kind(event.last_policy_kind)} than the node offers, so '
                   'it receives nothing: let it ask for reliable or best effort, volatile')
        self.watch.history.qos_problem = problem
        self._node.get_logger().warning(problem)
