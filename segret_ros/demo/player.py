"""Plays a drive to the node over DDS and gathers what comes back."""

from dataclasses import dataclass, field
import subprocess
import time

from diagnostic_msgs.msg import DiagnosticArray
import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rclpy.serialization import deserialize_message
from rosgraph_msgs.msg import Clock
from segret_ros.bags import Recorded, stamp_ns
from segret_ros.demo.node_process import NodeError
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

START_TIMEOUT_S = 30
ANSWER_TIMEOUT_S = 5
CLOCK_PERIOD_S = 0.01
SETTLE_NS = 300_000_000
OUTPUTS = {'label': Image, 'confidence': Image, 'camera_info': CameraInfo,
           'status': DiagnosticArray}


@dataclass
class Playback:
    """
    What came of a drive.

    :param sent_s: when each image was published, by its stamp in ns.
    :param answered_s: when each label arrived, by its stamp in ns.
    :param outputs: the node's messages in order of arrival, stamped with the drive's time.
    :param start_s: from the node's start to the first label.
    """

    sent_s: dict[int, float] = field(default_factory=dict)
    answered_s: dict[int, float] = field(default_factory=dict)
    outputs: list[Recorded] = field(default_factory=list)
    start_s: float = 0.0

    @property
    def latencies_ms(self) -> list[float]:
        """Give the time from each image's publication to its label's arrival here."""
        return [(answered - self.sent_s[stamp]) * 1e3
                for stamp, answered in self.answered_s.items()]

    @property
    def dropped(self) -> int:
        """Give how many images were never answered."""
        return len(self.sent_s.keys() - self.answered_s.keys())


class Player:
    """
    The camera of a drive, as a ROS node; use it in a `with` block.

    The drive's own time is published on /clock. Images go out at the recorded times, or later
    where the node has not answered the last one yet: a demo shows every frame.

    :param namespace: of the camera's topics.
    """

    def __init__(self, namespace: str) -> None:
        rclpy.init()
        self._node = rclpy.create_node('drive', namespace=namespace)
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(self._node)
        sensor = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
        self._clock = self._node.create_publisher(Clock, '/clock', sensor)
        self._image = self._node.create_publisher(CompressedImage, 'image_raw/compressed', sensor)
        self._camera_info = self._node.create_publisher(CameraInfo, 'camera_info', sensor)
        self._namespace = namespace
        self._playback = Playback()
        self._now_ns = 0
        self._started = 0.0
        self._last_stamp: int | None = None
        for output, kind in OUTPUTS.items():
            topic = f'{namespace}/segmentation/{output}'
            self._node.create_subscription(
                kind, topic, lambda data, topic=topic, kind=kind: self._on_output(
                    topic, kind, data), 10, raw=True)

    def __enter__(self) -> 'Player':
        return self

    def __exit__(self, *exception) -> None:
        self._executor.shutdown()
        self._node.destroy_node()
        rclpy.shutdown()

    def play(self, drive: list[Recorded], process: subprocess.Popen, progress) -> Playback:
        """
        Publish a drive's images and camera infos; give what the node answered.

        :param drive: messages of type CompressedImage and CameraInfo in order of time.
        :param process: the node; its end is an error.
        :param progress: called after each image.
        :raises NodeError: when the node does not listen or ends.
        """
        self._started = time.monotonic()
        self._now_ns = drive[0].time_ns
        self._wait_for_node(process)
        for recorded in drive:
            self._wait_until_due(recorded.time_ns, process)
            if recorded.type_name.endswith('/CameraInfo'):
                self._camera_info.publish(recorded.data)
                continue
            self._last_stamp = stamp_ns(recorded.message().header)
            self._playback.sent_s[self._last_stamp] = time.monotonic()
            self._image.publish(recorded.data)
            progress()
        # Status and camera info follow the last label.
        self._wait_until_due(self._now_ns + SETTLE_NS, process)
        return self._playback

    def _wait_for_node(self, process: subprocess.Popen) -> None:
        end = time.monotonic() + START_TIMEOUT_S
        while not self._connected():
            if time.monotonic() > end:
                raise NodeError('the node did not subscribe to the camera within '
                                f'{START_TIMEOUT_S} s')
            self._spin_once(process)

    def _connected(self) -> bool:
        outputs = (self._node.count_publishers(f'{self._namespace}/segmentation/{output}')
                   for output in OUTPUTS)
        inputs = (publisher.get_subscription_count()
                  for publisher in (self._image, self._camera_info))
        return all(inputs) and all(outputs)

    def _wait_until_due(self, time_ns: int, process: subprocess.Popen) -> None:
        """Let the drive's time pass to a message's, and the last image be answered."""
        end = time.monotonic() + ANSWER_TIMEOUT_S
        while self._now_ns < time_ns or (self._unanswered() and time.monotonic() < end):
            begun = time.monotonic()
            self._spin_once(process)
            passed_ns = int((time.monotonic() - begun) * 1e9)
            self._now_ns = min(time_ns, self._now_ns + passed_ns)
            self._publish_clock()

    def _unanswered(self) -> bool:
        return (self._last_stamp is not None
                and self._last_stamp not in self._playback.answered_s)

    def _publish_clock(self) -> None:
        clock = Clock()
        clock.clock.sec, clock.clock.nanosec = divmod(self._now_ns, 1_000_000_000)
        self._clock.publish(clock)

    def _spin_once(self, process: subprocess.Popen) -> None:
        if process.poll() is not None:
            raise NodeError(f'the node ended with exit code {process.returncode}')
        self._executor.spin_once(timeout_sec=CLOCK_PERIOD_S)

    def _on_output(self, topic: str, kind: type, data: bytes) -> None:
        if topic.endswith('/label'):
            stamp = stamp_ns(deserialize_message(data, kind).header)
            self._playback.answered_s.setdefault(stamp, time.monotonic())
            if len(self._playback.answered_s) == 1:
                self._playback.start_s = time.monotonic() - self._started
        type_name = f'{kind.__module__.split(".")[0]}/msg/{kind.__name__}'
        self._playback.outputs.append(Recorded(topic, type_name, self._now_ns, data))
