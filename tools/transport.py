# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
Latency of an image from one process to another by transport of the middleware.

`python tools/transport.py` runs a publisher and a subscriber of rgb8 images as processes of
their own for each transport in turn, and prints the table of docs/transport.md. No network and no
node of ours: rclpy and DDS alone.
"""

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
import json
import os
from pathlib import Path
import subprocess
import sys
import tempfile
import time

import numpy as np
from segret_ros.files.share import share_directory
from segret_ros.node.distribution import profile_variable, PROFILE_VARIABLES
from segret_ros.text_table import text_table

TRANSPORTS = 'FASTDDS_BUILTIN_TRANSPORTS'
WAYS = {
    'default': {},
    'profile': {profile_variable(): str(share_directory() / 'config' / 'fastdds.xml')},
    'LARGE_DATA': {TRANSPORTS: 'LARGE_DATA'},
    'UDP only': {TRANSPORTS: 'UDPv4'},
}
# See docs/latency.md: the cost of fresh memory in a small process is not the middleware's.
HEAP = {'MALLOC_MMAP_THRESHOLD_': '33554432', 'MALLOC_TRIM_THRESHOLD_': '134217728'}
WARM_UP_FRAMES = 5
WAIT_S = 20.0
SETTLE_S = 0.5
SIDES = ('publish', 'subscribe')


@contextmanager
def ros_node(name: str) -> Iterator:
    """Yield a node and a function that spins it for some seconds."""
    import rclpy
    from rclpy.executors import SingleThreadedExecutor
    rclpy.init()
    node = rclpy.create_node(name)
    executor = SingleThreadedExecutor()
    executor.add_node(node)

    def spin(seconds: float) -> None:
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            executor.spin_once(timeout_sec=left)

    try:
        yield node, spin
    finally:
        executor.shutdown()
        node.destroy_node()
        rclpy.shutdown()


def camera_qos():
    """Return the QoS of a camera: best effort, depth 1."""
    from rclpy.qos import QoSProfile, ReliabilityPolicy
    return QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)


def wait_for(condition, spin, what: str) -> None:
    """Receive until the condition holds; ends the process when it never does."""
    end = time.monotonic() + WAIT_S
    while not condition():
        if time.monotonic() > end:
            sys.exit(f'waited {WAIT_S:g} s in vain for {what}')
        spin(0.05)


def publish(size: tuple[int, int], rate_hz: float, frames: int) -> dict:
    """
    Publish images, stamped on the clock that all processes share.

    :param size: (height, width).
    :return: `stamps_ns` of those after the warm-up, `cpu_s` that the process took for them.
    """
    from builtin_interfaces.msg import Time
    from sensor_msgs.msg import Image
    height, width = size
    message = Image(height=height, width=width, encoding='rgb8', step=3 * width)
    message.data.frombytes(np.random.default_rng(0).bytes(3 * height * width))
    with ros_node('transport_publisher') as (node, spin):
        camera = node.create_publisher(Image, 'transport/image', camera_qos())
        wait_for(camera.get_subscription_count, spin, 'the subscriber')
        spin(SETTLE_S)
        stamps_ns, began, cpu_s = [], time.monotonic(), 0.0
        for number in range(WARM_UP_FRAMES + frames):
            if number == WARM_UP_FRAMES:
                cpu_s = time.process_time()
            now = time.monotonic_ns()
            message.header.stamp = Time(sec=now // 10**9, nanosec=now % 10**9)
            camera.publish(message)
            stamps_ns.append(now)
            spin(max(0.0, began + (number + 1) / rate_hz - time.monotonic()))
        cpu_s = time.process_time() - cpu_s
        wait_for(lambda: not camera.get_subscription_count(), spin, "the subscriber's end")
    return {'stamps_ns': stamps_ns[WARM_UP_FRAMES:], 'cpu_s': cpu_s}


def subscribe(size: tuple[int, int], rate_hz: float, frames: int) -> dict:
    """
    Receive images until none has come for a second.

    :return: `arrived_ns`, the time of the callback by stamp, and `cpu_s`, from the first image on.
    """
    from sensor_msgs.msg import Image
    arrived_ns, cpu_s = {}, []

    def on_image(message: Image) -> None:
        now = time.monotonic_ns()
        stamp = message.header.stamp
        arrived_ns[stamp.sec * 10**9 + stamp.nanosec] = now
        cpu_s.append(time.process_time())

    quiet_s = SETTLE_S + 4 / rate_hz
    with ros_node('transport_subscriber') as (node, spin):
        node.create_subscription(Image, 'transport/image', on_image, camera_qos())
        wait_for(lambda: node.count_publishers('transport/image'), spin, 'the publisher')
        spin(2 * SETTLE_S + (WARM_UP_FRAMES + frames) / rate_hz)
        while (arrived_ns and time.monotonic_ns() < max(arrived_ns.values()) + quiet_s * 1e9):
            spin(0.1)
    return {'arrived_ns': arrived_ns, 'cpu_s': cpu_s[-1] - cpu_s[0] if cpu_s else 0.0}


def measure(way: dict[str, str], size: tuple[int, int], rate_hz: float,
            frames: int) -> dict[str, float]:
    """
    Measure one run: `median` and `p99` in ms, `lost` and `cpu` of both processes as shares.

    :param way: environment of both processes.
    :param size: (height, width).
    """
    environment = {name: value for name, value in os.environ.items()
                   if name not in (*PROFILE_VARIABLES.values(), TRANSPORTS)} | HEAP | way
    with tempfile.TemporaryDirectory() as folder:
        environment['ROS_LOG_DIR'] = folder
        results = [Path(folder) / f'{side}.json' for side in SIDES]
        processes = [subprocess.Popen(
            [sys.executable, __file__, '--side', side, '--result', str(result), '--size',
             *map(str, size), '--rate', str(rate_hz), '--frames', str(frames)], env=environment)
            for side, result in zip(SIDES, results)]
        failed = [side for side, process in zip(SIDES, processes) if process.wait()]
        if failed:
            raise RuntimeError(f'{" and ".join(failed)} failed')
        sent, received = (json.loads(result.read_text()) for result in results)
    latencies_ms = [(received['arrived_ns'][str(stamp)] - stamp) / 1e6
                    for stamp in sent['stamps_ns'] if str(stamp) in received['arrived_ns']]
    median, p99 = np.percentile(latencies_ms, (50, 99)) if latencies_ms else (np.nan, np.nan)
    return {'median': float(median), 'p99': float(p99), 'lost': 1 - len(latencies_ms) / frames,
            'cpu': (sent['cpu_s'] + received['cpu_s']) / (frames / rate_hz)}


def row(name: str, runs: list[dict[str, float]]) -> list[str]:
    """Return a row of the table: medians over the runs, and the range of the median latency."""
    runs = [run for run in runs if run['lost'] < 1] or runs
    middle = {key: np.median([run[key] for run in runs]) for key in runs[0]}
    medians = [run['median'] for run in runs]
    return [name, f'{middle["median"]:.1f}', f'{min(medians):.1f} - {max(medians):.1f}',
            f'{middle["p99"]:.1f}', f'{middle["lost"]:.1%}', f'{middle["cpu"]:.0%}']


def arguments_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--size', type=int, nargs=2, default=(720, 1280),
                        metavar=('HEIGHT', 'WIDTH'), help='of the images (720 1280)')
    parser.add_argument('--rate', type=float, default=15, help='images a second (15)')
    parser.add_argument('--frames', type=int, default=75, help='of each run (75)')
    parser.add_argument('--runs', type=int, default=5, help='of each way, in turns (5)')
    parser.add_argument('--profile', type=Path, action='append', default=[],
                        help='a profile of Fast DDS to measure too')
    parser.add_argument('--side', choices=SIDES, help=argparse.SUPPRESS)
    parser.add_argument('--result', type=Path, help=argparse.SUPPRESS)
    return parser


def main() -> int:
    """Measure and print; return the exit code."""
    arguments = arguments_parser().parse_args()
    what = tuple(arguments.size), arguments.rate, arguments.frames
    if arguments.side:
        side = publish if arguments.side == 'publish' else subscribe
        arguments.result.write_text(json.dumps(side(*what)))
        return 0
    from segret_ros.offline.node_process import isolate  # not in the processes measured
    isolate()
    ways = WAYS | {path.name: {profile_variable(): str(path.resolve())}
                   for path in arguments.profile}
    runs = {name: [] for name in ways}
    for _ in range(arguments.runs):
        for name, way in ways.items():
            runs[name].append(measure(way, *what))
    print(f'{arguments.size[0]} x {arguments.size[1]} rgb8 at {arguments.rate:g} Hz, '
          f'{arguments.runs} runs of {arguments.frames} images, publish to callback')
    print(text_table([row(name, results) for name, results in runs.items()],
                     ['ms', 'median', 'of the runs', 'p99', 'lost', 'CPU'],
                     ['left', *['right'] * 5]))
    return 0


if __name__ == '__main__':
    sys.exit(main())
