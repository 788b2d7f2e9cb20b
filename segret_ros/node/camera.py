"""The topics of one camera."""

from collections import Counter
from collections.abc import Callable

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
import numpy as np
from rclpy.lifecycle import LifecycleNode
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from segret_ros.inference import ModelInfo, Segmentation
from segret_ros.node.messages import (
    decode_compressed, decode_image, encode_image, key_values)
from segret_ros.node.parameters import Parameters
from segret_ros.visualization import colorize, overlay
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from std_msgs.msg import Header

try:
    from vision_msgs.msg import LabelInfo, VisionClass
except ImportError:  # a pip installation; then there is no label_info topic
    LabelInfo = VisionClass = None

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
        self.counts: Counter[str] = Counter()  # received, processed, rejected, failed
        self.last_problem = ''
        self._node = node
        self._parameters = parameters
        self._compressed = parameters.image_transport == 'compressed'
        self._image = 'image/compressed' if self._compressed else 'image'
        self._color_table = model.labels.color_table()
        self._camera_info: CameraInfo | None = None
        self._subscriptions = []
        self._publishers = {
            output: node.create_lifecycle_publisher(kind, self.topic(f'segmentation/{output}'),
                                                    RELIABLE)
            for output, kind in (('label', Image), ('confidence', Image), ('color', Image),
                                 ('overlay', Image), ('camera_info', CameraInfo),
                                 ('status', DiagnosticArray))}
        if LabelInfo is not None:
            self._publishers['label_info'] = node.create_lifecycle_publisher(
                LabelInfo, self.topic('segmentation/label_info'), LATCHED)

    @property
    def image_topic(self) -> str:
        """Give the full name of the topic that images are received on, remapped."""
        return self._node.resolve_topic_name(self.topic(self._image))

    def topic(self, name: str) -> str:
        """Give the camera's own name of a topic."""
        return f'{self.name}/{name}' if self.name else name

    def subscribe(self, on_image: Callable[[Image | CompressedImage], None]) -> None:
        """Start to listen to the camera, and to count; `on_image` gets each message."""
        self.counts.clear()
        self.last_problem = ''
        reliability = ReliabilityPolicy[self._parameters.image_reliability.upper()]
        newest = QoSProfile(depth=1, reliability=reliability)
        kind = CompressedImage if self._compressed else Image
        newest_info = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
        # The camera info first: an image never comes before the node can hear of its camera.
        self._subscriptions = [
            self._node.create_subscription(CameraInfo, self.topic('camera_info'),
                                           self._on_camera_info, newest_info),
            self._node.create_subscription(kind, self.topic(self._image), on_image, newest)]

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

    def decode(self, message: Image | CompressedImage) -> np.ndarray:
        """Give the message's pixels, (H, W, 3) uint8 RGB; ImageError for a bad message."""
        if self._compressed:
            return decode_compressed(message)
        return decode_image(message)

    def publish_label_info(self, model: ModelInfo) -> None:
        """Latch what the label ids mean, where vision_msgs is installed."""
        if LabelInfo is None:
            return
        self._publishers['label_info'].publish(LabelInfo(
            header=Header(stamp=self._node.get_clock().now().to_msg()),
            class_map=[VisionClass(class_id=index, class_name=name)
                       for index, name in enumerate(model.labels.names)]))

    def publish(self, header: Header, image_rgb: np.ndarray, result: Segmentation) -> None:
        """
        Publish what was found in an image, every message with the image's own header.

        :param image_rgb: (H, W, 3) uint8.
        """
        for output, pixels, encoding in (('label', result.label, 'mono8'),
                                         ('confidence', result.confidence, 'mono8')):
            self._publishers[output].publish(encode_image(pixels, encoding, header))
        if self._wanted('color'):
            color = colorize(result.label, self._color_table)
            self._publishers['color'].publish(encode_image(color, 'rgb8', header))
        if self._wanted('overlay'):
            blended = overlay(image_rgb, result.label, self._color_table,
                              self._parameters.overlay_alpha)
            self._publishers['overlay'].publish(encode_image(blended, 'rgb8', header))
        camera_info = self._camera_info  # the executor may take it away meanwhile
        if camera_info is not None:
            camera_info.header = header
            self._publishers['camera_info'].publish(camera_info)

    def publish_status(self, header: Header, hardware_id: str, values: dict[str, object]) -> None:
        """Publish how the image's result came about, with the image's stamp."""
        status = DiagnosticStatus(level=DiagnosticStatus.OK, hardware_id=hardware_id,
                                  name=self.topic('segmentation'), message='valid',
                                  values=key_values(values))
        self._publishers['status'].publish(DiagnosticArray(header=header, status=[status]))

    def _wanted(self, output: str) -> bool:
        return self._publishers[output].get_subscription_count() > 0

    def _on_camera_info(self, message: CameraInfo) -> None:
        self._camera_info = message
