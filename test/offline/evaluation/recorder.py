# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
A process that records when messages of a camera and of its labels arrive.

`python recorder.py IMAGE_TOPIC LABEL_TOPIC` prints `ready` once it listens. Given a number of
labels on its standard input it waits for them, and prints one line of JSON: the monotonic seconds
of each arrival, by topic and stamp in ns.
"""

import json
import select
import sys
import time

import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CompressedImage, Image

QUIET_S = 0.3  # without a message: there are no more labels than told
LONGEST_S = 10.0  # for labels; those from before the recorder was known do not come


def main() -> None:
    """Record until the labels that the standard input tells are there."""
    image, label = sys.argv[1:]
    arrivals = {image: {}, label: {}}
    context = rclpy.Context()
    rclpy.init(context=context)
    node = rclpy.create_node('recorder', context=context)
    last = time.monotonic()

    def note(topic: str, message) -> None:
        nonlocal last
        last = time.monotonic()
        stamp = message.header.stamp
        arrivals[topic].setdefault(stamp.sec * 10**9 + stamp.nanosec, []).append(last)

    for topic, kind, reliability in ((image, CompressedImage, ReliabilityPolicy.BEST_EFFORT),
                                     (label, Image, ReliabilityPolicy.RELIABLE)):
        node.create_subscription(kind, topic, lambda message, topic=topic: note(topic, message),
                                 QoSProfile(depth=100, reliability=reliability))
    executor = SingleThreadedExecutor(context=context)
    executor.add_node(node)
    print('ready', flush=True)
    while not select.select([sys.stdin], [], [], 0)[0]:
        executor.spin_once(timeout_sec=0.02)
    expected, end = int(sys.stdin.readline()), time.monotonic() + LONGEST_S
    while sum(map(len, arrivals[label].values())) < expected and time.monotonic() < end:
        executor.spin_once(timeout_sec=0.02)
    last = time.monotonic()
    while time.monotonic() - last < QUIET_S:
        executor.spin_once(timeout_sec=0.02)
    print(json.dumps(arrivals), flush=True)


if __name__ == '__main__':
    main()
