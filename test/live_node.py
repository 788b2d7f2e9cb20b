# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""What the tests of the node share: its process, and a ROS node of their own to talk to it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
import itertools
import json
import os
from pathlib import Path
import re
import signal
import subprocess
import sys
import time
from typing import Any

from builtin_interfaces.msg import Time
import cv2
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState, GetState
import numpy as np
from rcl_interfaces.msg import SetParametersResult
from rcl_interfaces.srv import GetParameters, SetParameters
import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.parameter import Parameter, parameter_value_to_python
from rclpy.publisher import Publisher
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rclpy.subscription import Subscription
import segret_ros
from sensor_msgs.msg import Image
from std_msgs.msg import Header
from waiting import wait_for, WAIT_S

PROBE_PERIOD_S = 0.1
NODE = ('-m', 'segret_ros.node.main')
LEVELS = {DiagnosticStatus.OK: 'ok', DiagnosticStatus.WARN: 'warn',
          DiagnosticStatus.ERROR: 'error'}
ALL = QoSProfile(depth=100, reliability=ReliabilityPolicy.RELIABLE)
FRAME_ID = 'camera_optical_frame'
TRANSITIONS = {
    'configure': Transition.TRANSITION_CONFIGURE,
    'activate': Transition.TRANSITION_ACTIVATE,
    'deactivate': Transition.TRANSITION_DEACTIVATE,
    'cleanup': Transition.TRANSITION_CLEANUP,
}
OUTPUTS = ('label', 'confidence', 'color', 'overlay', 'camera_info', 'status')
# What leads to a primary state from `unconfigured`.
WAY_TO = {'unconfigured': (), 'inactive': ('configure',), 'active': ('configure', 'activate')}

_counter = itertools.count()


class NodeProcess:
    """
    The node `segret`, started in a process of its own.

    :param folder: for its logs.
    :param arguments: of its command line.
    :param program: what Python runs; by default the executable `segret_node`.
    """

    def __init__(self, folder: Path, arguments: list[str],
                 program: tuple[str, ...] = NODE) -> None:
        self._log = folder / f'segret_{next(_counter)}.log'
        package_root = str(Path(segret_ros.__file__).parents[1])
        environment = dict(os.environ, ROS_LOG_DIR=str(folder), PYTHONPATH=os.pathsep.join(
            filter(None, (package_root, os.environ.get('PYTHONPATH')))))
        with self._log.open('wb') as log:
            self._process = subprocess.Popen(
                [sys.executable, *program, *arguments],
                stdout=log, stderr=subprocess.STDOUT, env=environment)

    def log(self) -> str:
        """Return what the node has written so far."""
        return self._log.read_text()

    def lines(self, text: str) -> list[str]:
        """Return the lines that the node has written with a text in them."""
        return [line for line in self.log().splitlines() if text in line]

    def threads(self) -> int:
        """Return the number of the node's threads."""
        return len(os.listdir(f'/proc/{self._process.pid}/task'))

    def memory_mb(self) -> float:
        """Return the resident memory of the running node, MB of 10^6 bytes."""
        status = Path(f'/proc/{self._process.pid}/status').read_text()
        return int(re.search(r'VmRSS:\s*(\d+) kB', status)[1]) * 1024 / 1e6

    def is_deaf_to(self, number: int) -> bool:
        """Return whether the process has no handler of its own for a signal yet."""
        status = Path(f'/proc/{self._process.pid}/status').read_text()
        return not int(re.search(r'SigCgt:\s*(\w+)', status)[1], 16) >> number - 1 & 1

    def has_loaded(self, library: str) -> bool:
        """Return whether a file whose path holds this text is loaded as a library."""
        return library in Path(f'/proc/{self._process.pid}/maps').read_text()

    def has_ended(self) -> bool:
        """Return whether the process has ended."""
        return self._process.poll() is not None

    def interrupt(self, number: int = signal.SIGINT) -> None:
        """Send a signal."""
        self._process.send_signal(number)

    def wait(self) -> int:
        """Wait for the end of the process and return its exit code."""
        try:
            return self._process.wait(WAIT_S)
        except subprocess.TimeoutExpired as error:
            raise AssertionError(f'the node still runs; its log:\n{self.log()}') from error

    def end(self) -> None:
        """End the process if it still runs; gently, for it shares memory with the tests."""
        self.interrupt()
        try:
            self._process.wait(WAIT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(WAIT_S)


class Inbox(list):
    """The messages of a topic, oldest first; `numbers` are the publisher's sequence numbers."""

    def __init__(self) -> None:
        super().__init__()
        self.numbers: list[int] = []
        self.subscription: Subscription | None = None

    def receive(self, message: Any, info: dict[str, Any]) -> None:
        """Keep a message."""
        self.numbers.append(info.get('publication_sequence_number'))
        self.append(message)

    def of(self, stamp: Time) -> list:
        """Return the messages with a stamp."""
        return [message for message in self if message.header.stamp == stamp]


class Peer:
    """A node of the tests' own, which sees only the topics of the node under test."""

    def __init__(self) -> None:
        self.node_name = '/segret'  # full name of the node under test
        self._context = rclpy.Context()
        rclpy.init(context=self._context)
        self.node = rclpy.create_node('peer', context=self._context)
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self.node)
        self._clients = {}

    def close(self) -> None:
        """Leave the graph."""
        self._executor.shutdown()
        self.node.destroy_node()
        rclpy.shutdown(context=self._context)

    def spin(self, seconds: float, until: Callable[[], bool] = lambda: False) -> None:
        """Receive for some time, or until a condition holds."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0 and not until():
            self._executor.spin_once(timeout_sec=left)

    def wait_for(self, condition: Callable[[], Any], what: str) -> Any:
        """Receive until the condition holds and return its value; an error names `what`."""
        return wait_for(condition, what, pause=lambda: self._executor.spin_once(timeout_sec=0.05))

    def listen(self, kind: type, topic: str, qos: QoSProfile = ALL) -> Inbox:
        """Subscribe to a topic and return its inbox."""
        inbox = Inbox()
        inbox.subscription = self.node.create_subscription(
            kind, topic, lambda message, info: inbox.receive(message, info), qos)
        return inbox

    def close_inbox(self, inbox: Inbox) -> None:
        """Stop listening."""
        self.node.destroy_subscription(inbox.subscription)

    def advertise(self, kind: type, topic: str, qos: QoSProfile = ALL) -> Publisher:
        """Create a publisher."""
        return self.node.create_publisher(kind, topic, qos)

    def connect(self, publisher: Publisher, probe: Callable[[], Any], *inboxes: Inbox) -> int:
        """
        Send probes until each inbox has a message: when discovery is complete, no side knows.

        :return: how many were sent.
        """
        for sent in range(1, round(WAIT_S / PROBE_PERIOD_S)):
            publisher.publish(probe())
            self.spin(PROBE_PERIOD_S)
            if all(inboxes):
                return sent
        raise AssertionError(f'{sent} frames were sent, but nothing came back on '
                             f'{[box.subscription.topic_name for box in inboxes if not box]}')

    def street_camera(self, *outputs: str, qos: QoSProfile = ALL) -> tuple[Any, ...]:
        """Return a camera of the node and the inboxes of outputs, once all are connected."""
        camera = self.advertise(Image, '/image', qos)
        inboxes = [self.listen(DiagnosticArray if output == 'status' else Image,
                               f'/segmentation/{output}') for output in outputs]
        self.connect(camera, street_image, *inboxes)
        return camera, *inboxes

    def ask(self, publisher: Publisher, frame: Any, *inboxes: Inbox) -> list:
        """Send a frame and return each inbox's message with the frame's stamp."""
        publisher.publish(frame)
        stamp = frame.header.stamp
        return [self.wait_for(lambda: inbox.of(stamp),
                              f'the answer on {inbox.subscription.topic_name}')[0]
                for inbox in inboxes]

    def call(self, kind: type, service: str, request: Any) -> Any:
        """Return the response of a service that may be asked again, until an answer comes."""
        client = self._client(kind, service)
        futures = []

        def answer() -> Any:
            # The first may be lost: when discovery is complete, no side knows.
            futures.append(client.call_async(request))
            self.spin(PROBE_PERIOD_S, until=lambda: any(future.done() for future in futures))
            return next((future.result() for future in futures if future.done()), None)

        return self.wait_for(answer, f'the answer of {service}')

    def _client(self, kind: type, service: str) -> Any:
        if service not in self._clients:
            self._clients[service] = self.node.create_client(kind, f'{self.node_name}/{service}')
        client = self._clients[service]
        self.wait_for(client.service_is_ready, f'the service {service}')
        return client

    def state(self) -> str:
        """Return the label of the node's lifecycle state."""
        return self.call(GetState, 'get_state', GetState.Request()).current_state.label

    def change(self, *transitions: str | int) -> bool:
        """Make transitions through the lifecycle service; return whether all succeeded."""
        return all(map(self._change, transitions))

    def _change(self, transition: str | int) -> bool:
        """Ask for a transition once: a second time it would be refused."""
        future = self._client(ChangeState, 'change_state').call_async(ChangeState.Request(
            transition=Transition(id=TRANSITIONS.get(transition, transition))))
        self.wait_for(future.done, 'the answer of change_state')
        return future.result().success

    def go_to(self, state: str) -> None:
        """Bring the node to a primary state by way of `unconfigured`."""
        way_back = {'active': ('deactivate', 'cleanup'), 'inactive': ('cleanup',)}
        assert self.change(*way_back.get(self.state(), ()), *WAY_TO[state])

    def wait_for_end(self) -> None:
        """Wait until the node is gone; its name alone may stay in the graph for longer."""
        self.wait_for(lambda: not self.node.count_publishers('/segret/transition_event'),
                      'the end of the node')

    def wait_for_topics(self, publishers: int, subscriptions: int) -> None:
        """Wait until the node's topics have so many publishers and subscriptions."""
        self.wait_for(
            lambda: all(self.node.count_publishers(f'/segmentation/{output}') == publishers
                        for output in OUTPUTS) and
            all(self.node.count_subscribers(topic) == subscriptions
                for topic in ('/image', '/camera_info')),
            f'{publishers} publishers of each output and {subscriptions} subscriptions')

    def parameters(self, *names: str) -> dict[str, Any]:
        """Return the values of parameters of the node."""
        values = self.call(GetParameters, 'get_parameters',
                           GetParameters.Request(names=names)).values
        return dict(zip(names, map(parameter_value_to_python, values)))

    def set_parameters(self, **values: object) -> list[SetParametersResult]:
        """Set parameters of the node and return the result of each."""
        return self.call(SetParameters, 'set_parameters', SetParameters.Request(
            parameters=[Parameter(name, value=value).to_parameter_msg()
                        for name, value in values.items()])).results


class Diagnostics:
    """What the node publishes on /diagnostics."""

    def __init__(self, peer: Peer) -> None:
        self._peer = peer
        self._inbox = peer.listen(DiagnosticArray, '/diagnostics')

    def any_newest(self) -> DiagnosticArray:
        """Return the next message with the node's status, whatever its stamp."""
        self._inbox.clear()
        return self._peer.wait_for(lambda: [array for array in self._inbox if any(
            status.name == '/segret: node' for status in array.status)], '/diagnostics')[0]

    def newest(self, part: str) -> DiagnosticStatus:
        """Return the next status, made from now on, of `node` or `camera NAME`."""
        now = self._peer.node.get_clock().now()
        return self._peer.wait_for(
            lambda: [status for array in self._inbox
                     if rclpy.time.Time.from_msg(array.header.stamp) > now
                     for status in array.status if status.name == f'/segret: {part}'],
            f'the diagnostics of {part}')[0]

    def counts(self, part: str) -> dict[str, int]:
        """Return the counts of a camera's next status."""
        return {item.key: int(item.value) for item in self.newest(part).values
                if item.value.isdecimal()}

    def values(self, part: str) -> dict[str, str]:
        """Return the values of a part's next status, and its `level` and `message`."""
        status = self.newest(part)
        return {'level': LEVELS[status.level], 'message': status.message, **values_of(status)}

    def wait_for(self, part: str, condition: Callable[[dict[str, str]], Any]) -> dict[str, str]:
        """Return the first values of a part, from now on, for which the condition holds."""
        return self._peer.wait_for(
            lambda: (now := self.values(part)) and condition(now) and now,
            f'diagnostics of {part}')


@contextmanager
def running_node(folder: Path, program: tuple[str, ...] = NODE, remap: tuple[str, ...] = (),
                 **parameters: object) -> Iterator[NodeProcess]:
    """
    Yield a node with these parameters; it runs until the block ends.

    :param program: see `NodeProcess`.
    :param remap: rules, as `from:=to`.
    """
    process = NodeProcess(folder, ['--ros-args', *(
        word for name, value in parameters.items()
        for word in ('-p', f'{name}:={json.dumps(value)}')), *(
        word for rule in remap for word in ('-r', rule))], program)
    try:
        yield process
    finally:
        process.end()


def new_header() -> Header:
    """Return a header with a stamp of its own, odd to the nanosecond."""
    number = next(_counter)
    return Header(frame_id=FRAME_ID, stamp=Time(
        sec=1_700_000_000 + number, nanosec=999_999_999 - 2 * number))


def image_message(pixels: np.ndarray, encoding: str, padding: int = 0) -> Image:
    """
    Return an image message with a new header.

    :param pixels: (H, W) or (H, W, channels), uint8 or uint16; the latter as little endian.
    :param padding: bytes at the end of each row that do not belong to the image.
    """
    height, width = pixels.shape[:2]
    rows = np.frombuffer(np.ascontiguousarray(pixels).tobytes(), np.uint8).reshape(height, -1)
    rows = np.pad(rows, ((0, 0), (0, padding)), constant_values=0xEE)
    return Image(header=new_header(), height=height, width=width, encoding=encoding,
                 step=rows.shape[1], data=rows.tobytes())


def pixels_of(message: Image) -> np.ndarray:
    """Return the (H, W) or (H, W, channels) uint8 pixels of an image message without padding."""
    shape = (message.height, message.width, message.step // message.width)
    return np.frombuffer(message.data, np.uint8).reshape(
        shape if shape[2] > 1 else shape[:2])


def street(height: int, width: int) -> np.ndarray:
    """Return a small picture with edges and gradients, (H, W, 3) uint8 RGB."""
    rows, columns = np.mgrid[:height, :width]
    picture = np.stack([255 * columns // width, 255 * rows // height,
                        128 + 0 * rows], axis=-1).astype(np.uint8)
    picture[height // 2:, width // 3:width // 2] = (250, 20, 30)
    picture[:height // 3, width // 2:] = (20, 200, 60)
    return picture


STREET = street(45, 61)


def street_image() -> Image:
    """Return a new message of the picture `STREET`."""
    return image_message(STREET, 'rgb8')


def noisy_jpegs() -> list[bytes]:
    """Return encoded pictures of a street with sensor noise, no two the same."""
    noise = np.random.default_rng(0)
    pictures = (np.clip(street(360, 480) + noise.integers(0, 9, (360, 480, 3)), 0, 255)
                for _ in range(7))
    return [cv2.imencode('.jpg', picture.astype(np.uint8))[1].tobytes() for picture in pictures]


def values_of(status: DiagnosticStatus) -> dict[str, str]:
    """Return the values of a status by their keys."""
    return {item.key: item.value for item in status.values}
