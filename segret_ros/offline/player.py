# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Plays a drive to the node over DDS and passes on what comes back."""

from collections import Counter, deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
import math
import time
from typing import NamedTuple

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from lifecycle_msgs.msg import State
from lifecycle_msgs.srv import GetState
import rclpy
from rclpy.client import Client
from rclpy.executors import SingleThreadedExecutor
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rclpy.serialization import deserialize_message
from rclpy.task import Future
from rosgraph_msgs.msg import Clock
from segret_ros.offline.bags import BagError, Recorded, serialized_stamp_ns
from segret_ros.offline.bags.cameras import CameraTopic
from segret_ros.offline.node_process import node_topic, NodeError, NodeProcess
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

NODE = '/segret'
START_TIMEOUT_S = 120  # the first start validates an engine; one that ends is noticed at once
ANSWER_TIMEOUT_S = 5
CLOCK_PERIOD_S = 0.01
SETTLE_S = 0.3
LONGEST_PAUSE_S = 10  # in a drive; the rest of a longer one is skipped
LATEST_NS = 2**31 * 10**9 - 1  # that fits into a message
QUEUE = 10  # depth of the subscriptions to the node's topics
SENSOR = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
LABELLED = 'processing_time_ms'  # a key in the status of labelled images only
OUTPUTS = {'label': Image, 'confidence': Image, 'camera_info': CameraInfo,
           'status': DiagnosticArray}


class Answer(NamedTuple):
    """
    One label; times of the monotonic clock.

    :param sent_s: when its image was published; NaN if several of its stamp were waiting.
    :param arrived_s: when it arrived here.
    :param age_ms: from its stamp to the drive's time at its arrival; NaN for a stamp of zero.
    """

    sent_s: float
    arrived_s: float
    age_ms: float

    @property
    def latency_ms(self) -> float:
        """Return the time from the image's publication to the label's arrival."""
        return (self.arrived_s - self.sent_s) * 1e3


@dataclass
class CameraLog:
    """
    What happened to a camera's images.

    A status comes for every image, but not always after its label: both are awaited, so that
    answers to images of equal stamp are not confused.

    :param frames: images published.
    :param late_ms: delay of each image's publication against the recording.
    :param answers: the labels that arrived.
    :param rejected: number of images that the node did not label, by kind of problem.
    :param reasons: the first message of each kind.
    :param missing: outputs that the node has yet to publish for the latest image.
    """

    frames: int = 0
    late_ms: list[float] = field(default_factory=list)
    answers: list[Answer] = field(default_factory=list)
    rejected: Counter[str] = field(default_factory=Counter)
    reasons: dict[str, str] = field(default_factory=dict)
    missing: set[str] = field(default_factory=set)
    _stamp: int | None = None  # of the latest image
    _awaited: deque[tuple[int | None, float]] = field(default_factory=deque)  # stamp and `sent_s`

    def note_image(self, stamp: int | None, late_ns: int, sent_s: float) -> None:
        """Count a published image."""
        self.frames += 1
        self.late_ms.append(late_ns / 1e6)
        self._awaited.append((stamp, sent_s))
        self._stamp, self.missing = stamp, {'label', 'status'}

    def note_output(self, output: str, stamp: int | None, is_labelled: bool) -> None:
        """
        Note that the node published an output.

        :param stamp: of its header, in ns.
        :param is_labelled: whether its image gets a label.
        """
        if stamp == self._stamp:
            self.missing -= {output} if is_labelled else {'label', 'status'}

    def note_label(self, stamp: int | None, now_ns: int, arrived_s: float) -> None:
        """Count an arriving label; images published before its own were dropped."""
        alike = sum(stamp == awaited for awaited, _ in self._awaited)
        if not alike:
            return
        while (sent := self._awaited.popleft())[0] != stamp:
            pass
        self.answers.append(Answer(sent[1] if alike == 1 else math.nan, arrived_s,
                                   (now_ns - stamp) / 1e6 if stamp else math.nan))

    def note_rejected(self, problem: str) -> None:
        """Count an image without a label; messages of one kind start alike, up to a colon."""
        kind = problem.partition(':')[0]
        self.rejected[kind] += 1
        self.reasons.setdefault(kind, problem)


class DriveClock:
    """
    The drive's time: it runs like the machine's, and stops at a limit.

    :param start_ns: it stands there until the first limit is set.
    :ivar asked_s: the machine's time at the latest `now_ns`, so that both times are of one moment.
    """

    def __init__(self, start_ns: int) -> None:
        self._limit_ns: float = start_ns
        self._start_ns = start_ns
        self._started_ns = time.monotonic_ns()
        self.asked_s = self._started_ns / 1e9

    def now_ns(self) -> int:
        """Return the time in ns."""
        machine_ns = time.monotonic_ns()
        self.asked_s = machine_ns / 1e9
        now_ns = self._start_ns + machine_ns - self._started_ns
        if now_ns >= self._limit_ns:
            now_ns = int(self._limit_ns)
            self._start_ns, self._started_ns = now_ns, machine_ns
        return now_ns

    def jump_to(self, now_ns: int) -> None:
        """Continue from a later time in ns."""
        self._start_ns, self._started_ns = now_ns, time.monotonic_ns()

    def run_to(self, limit_ns: float) -> None:
        """Let time run from now to a limit in ns."""
        self.now_ns()
        self._limit_ns = limit_ns


class Player:
    """
    The cameras of a drive, as a ROS node; use it in a `with` block.

    The drive's time is published on /clock.

    :param cameras: those that the node subscribes to.
    :param outputs: types of the node's topics to receive, by name; with `label` and `status`.
    :param waits: hold a camera's next image and the drive's time until the node is done with the
        latest one, so that a demo shows every frame; else images go out as recorded.
    :param on_message: called with each message played or received, in order of the drive's time.
    :ivar engine: model, device and engine from the node's /diagnostics, by name.
    """

    def __init__(self, cameras: list[CameraTopic], outputs: dict[str, type], waits: bool,
                 on_message: Callable[[Recorded], None]) -> None:
        self.started_s = time.monotonic()
        self.logs = {camera.topic: CameraLog() for camera in cameras}
        self._waits = waits
        self._on_message = on_message
        self._time = DriveClock(0)
        self._context = rclpy.Context()
        rclpy.init(args=[], context=self._context)
        self._node = rclpy.create_node('drive', context=self._context)
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self._node)
        self._clock = self._node.create_publisher(Clock, '/clock', SENSOR)
        kinds = {camera.topic: CompressedImage if camera.is_compressed else Image
                 for camera in cameras}
        kinds |= {camera.camera_info: CameraInfo for camera in cameras if camera.camera_info}
        self._publishers = {topic: self._node.create_publisher(kind, topic, SENSOR)
                            for topic, kind in kinds.items()}
        self._output_topics = [self._listen(camera, output, kind)
                               for camera in cameras for output, kind in outputs.items()]
        self._get_state: Client = self._node.create_client(GetState, f'{NODE}/get_state')
        self._state: Future | None = None
        self.engine: dict[str, str] = {}
        self._problem = ''  # why the node could not be configured or activated
        self._node.create_subscription(DiagnosticArray, '/diagnostics', self._on_diagnostics, 1)

    def _listen(self, camera: CameraTopic, output: str, kind: type) -> str:
        """Subscribe to one of the node's topics; return its name."""
        topic = node_topic(camera, f'segmentation/{output}')
        type_name = f'{kind.__module__.split(".")[0]}/msg/{kind.__name__}'

        def on_output(data: bytes) -> None:
            self._on_output(camera.topic, output,
                            Recorded(topic, type_name, self._time.now_ns(), data))

        self._node.create_subscription(kind, topic, on_output, QUEUE, raw=True)
        return topic

    def __enter__(self) -> 'Player':
        return self

    def __exit__(self, *exception) -> None:
        self._executor.shutdown()
        self._node.destroy_node()
        rclpy.shutdown(context=self._context)

    def play(self, drive: Iterable[Recorded], node: NodeProcess,
             progress: Callable[[], object]) -> None:
        """
        Publish the cameras of a drive; the node's answers go to `logs` and `on_message`.

        :param drive: messages of a bag in order of time, read while they are played. Those of
            other topics only go to `on_message`, when they are due.
        :param progress: called after each image.
        :raises BagError: when there is no image among them.
        :raises NodeError: when the node does not subscribe or ends.
        """
        connected = False
        with closing(_read_ahead(drive)) as messages:
            for recorded in messages:
                if not connected:
                    self._connect(recorded.time_ns, node)
                    connected = True
                self._wait_until_due(recorded, node)
                self._play(recorded)
                if recorded.topic in self.logs:
                    progress()
        if not any(log.frames for log in self.logs.values()):
            raise BagError(f'the bag has no image on {", ".join(self.logs)} to play')
        self._settle(node)

    def _connect(self, start_ns: int, node: NodeProcess) -> None:
        """Wait for the node's subscriptions and publishers, with the drive's time at its start."""
        self._time = DriveClock(start_ns)
        end = time.monotonic() + START_TIMEOUT_S
        while not (self._is_connected() and self._is_active()):
            if time.monotonic() > end:
                raise NodeError('the node did not subscribe to the cameras within '
                                f'{START_TIMEOUT_S} s: read {node.log}')
            if self._problem:
                raise NodeError(f'the node is {self._problem}')
            self._spin_once(CLOCK_PERIOD_S, node)
        if not self._waits:
            self._time.run_to(math.inf)

    def _is_connected(self) -> bool:
        return (all(publisher.get_subscription_count() for publisher in self._publishers.values())
                and all(self._node.count_publishers(topic) for topic in self._output_topics))

    def _is_active(self) -> bool:
        """
        Return whether the node has answered that it is active; else ask it again.

        A subscription is announced a moment before it receives: an image sent then is lost.
        """
        if self._state is not None:
            if not self._state.done():
                return False
            answer = self._state.result()
            if answer and answer.current_state.id == State.PRIMARY_STATE_ACTIVE:
                return True
        if self._get_state.service_is_ready():
            self._state = self._get_state.call_async(GetState.Request())
        return False

    def _is_working(self) -> bool:
        return any(log.missing for log in self.logs.values())

    def _wait_until_due(self, recorded: Recorded, node: NodeProcess) -> None:
        """Wait for a message's time, and if the player waits, for the latest image."""
        if self._waits:
            self._time.run_to(recorded.time_ns)
        end = time.monotonic() + ANSWER_TIMEOUT_S
        log = self.logs.get(recorded.topic) if self._waits else None
        while (left_ns := recorded.time_ns - self._time.now_ns()) > 0 or (
                log and log.missing and time.monotonic() < end):
            is_idle = not self._is_working() or time.monotonic() > end
            if left_ns > LONGEST_PAUSE_S * 1e9 and is_idle:
                self._time.jump_to(recorded.time_ns - LONGEST_PAUSE_S * 10**9)
            due_s = left_ns / 1e9 if left_ns > 0 else CLOCK_PERIOD_S
            self._spin_once(min(due_s, CLOCK_PERIOD_S), node)

    def _settle(self, node: NodeProcess) -> None:
        """Wait for the last labels and what follows them."""
        self._time.run_to(math.inf)
        end = time.monotonic() + ANSWER_TIMEOUT_S
        while (self._is_working() or not self.engine) and time.monotonic() < end:
            self._spin_once(CLOCK_PERIOD_S, node)
        end = time.monotonic() + SETTLE_S
        while time.monotonic() < end:
            self._spin_once(CLOCK_PERIOD_S, node)

    def _spin_once(self, timeout_s: float, node: NodeProcess) -> None:
        """Receive one message, if one arrives in time, and publish the time."""
        node.check()
        self._executor.spin_once(timeout_sec=timeout_s)
        clock = Clock()
        now_ns = min(max(self._time.now_ns(), 0), LATEST_NS)
        clock.clock.sec, clock.clock.nanosec = divmod(now_ns, 1_000_000_000)
        self._clock.publish(clock)

    def _play(self, recorded: Recorded) -> None:
        if recorded.topic in self.logs:
            stamp = serialized_stamp_ns(recorded.data)
            late_ns = self._time.now_ns() - recorded.time_ns
            self.logs[recorded.topic].note_image(stamp, late_ns, self._time.asked_s)
        if recorded.topic in self._publishers:
            self._publishers[recorded.topic].publish(recorded.data)
        self._on_message(recorded)

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        for status in message.status:
            if status.name == f'{NODE}: node':
                self.engine = {item.key: item.value for item in status.values}
                if status.level == DiagnosticStatus.ERROR:
                    self._problem = status.message

    def _on_output(self, camera: str, output: str, recorded: Recorded) -> None:
        self._on_message(recorded)
        if output not in ('label', 'status'):
            return
        stamp, log = serialized_stamp_ns(recorded.data), self.logs[camera]
        problem = None
        if output == 'label':
            log.note_label(stamp, recorded.time_ns, self._time.asked_s)
        else:
            problem = why_unlabelled(deserialize_message(recorded.data, DiagnosticArray))
            if problem is not None:
                log.note_rejected(problem)
        log.note_output(output, stamp, problem is None)


def why_unlabelled(message: DiagnosticArray) -> str | None:
    """Return why the node did not label an image, by its status; None where it did."""
    if any(pair.key == LABELLED for status in message.status for pair in status.values):
        return None
    return message.status[0].message if message.status else 'no reason given'


def rate_hz(logs: Iterable[CameraLog]) -> float:
    """Return the labels per second, from the first image played to the last label; 0 for none."""
    answers = [answer for log in logs for answer in log.answers]
    if not answers:
        return 0.0
    first_s = min(min(answer.arrived_s, answer.sent_s) for answer in answers)  # NaN is no less
    passed_s = max(answer.arrived_s for answer in answers) - first_s
    return len(answers) / passed_s if passed_s else 0.0


def _read_ahead(drive: Iterable[Recorded]) -> Generator[Recorded, None, None]:
    """Yield a drive's messages; a thread reads the next one meanwhile."""
    messages = iter(drive)
    with ThreadPoolExecutor(1) as reader:
        coming = reader.submit(next, messages, None)
        while (recorded := coming.result()) is not None:
            coming = reader.submit(next, messages, None)
            yield recorded
