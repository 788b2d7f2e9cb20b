# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
Latency of a frame from the camera's publish to the receipt of its label.

`python tools/latency.py --model MODEL.onnx` runs the real node and prints the table of
docs/latency.md, the median of each step. Camera and reader are this process, the node another.
"""

import argparse
from pathlib import Path
import sys
import tempfile
import time

from builtin_interfaces.msg import Time
import numpy as np
from segret_ros.files.share import default_model
from segret_ros.offline.bench_measure import camera_frames, decode
from segret_ros.offline.node_process import isolate
from segret_ros.text_table import text_table

STAGES = ('waiting', 'decode', 'check', 'resize', 'network', 'labels')
WARM_UP_FRAMES = 10
TESTS = Path(__file__).resolve().parents[1] / 'test'


def run(model: Path, size: tuple[int, int], rate_hz: float, seconds: float,
        folder: Path) -> tuple[list[dict[str, float]], int]:
    """
    Send frames and wait for their labels.

    :param size: (height, width) of the frames.
    :return: for each labelled frame `total` and `STAGES`, in ms; the number of frames sent.
    """
    from diagnostic_msgs.msg import DiagnosticArray
    sys.path.append(str(TESTS))
    from live_node import image_message, Peer, running_node, values_of
    from segret_ros.node.stamps import stamp_ns
    from sensor_msgs.msg import Image
    peer, arrived_ns, stages = Peer(), {}, {}
    messages = [image_message(decode(jpeg), 'rgb8') for jpeg in camera_frames(size)]

    def on_status(message: DiagnosticArray) -> None:
        values = values_of(message.status[0])
        stages[stamp_ns(message.header)] = {name: float(values[f'{name}_ms']) for name in STAGES}

    subscriptions = [
        peer.node.create_subscription(
            Image, '/segmentation/label',
            lambda message: arrived_ns.setdefault(stamp_ns(message.header), time.time_ns()), 5),
        peer.node.create_subscription(DiagnosticArray, '/segmentation/status', on_status, 5)]
    with running_node(folder, model=str(model.resolve())) as node:
        camera = peer.advertise(Image, '/image')
        peer.wait_for(lambda: camera.get_subscription_count() and ' classes' in node.log()
                      and peer.node.count_publishers('/segmentation/status'), 'the node')
        peer.spin(2.0)
        sent, began = [], time.monotonic()
        for number in range(WARM_UP_FRAMES + round(rate_hz * seconds)):
            message, now = messages[number % len(messages)], time.time_ns()
            message.header.stamp = Time(sec=now // 10**9, nanosec=now % 10**9)
            camera.publish(message)
            sent.append(now)
            peer.spin(max(0.0, began + (number + 1) / rate_hz - time.monotonic()))
        peer.spin(1.0)
    for subscription in subscriptions:
        peer.node.destroy_subscription(subscription)
    peer.close()
    sent = sent[WARM_UP_FRAMES:]
    return [{'total': (arrived_ns[stamp] - stamp) / 1e6, **stages[stamp]}
            for stamp in sent if stamp in arrived_ns and stamp in stages], len(sent)


def table(frames: list[dict[str, float]]) -> str:
    """Return the medians as text."""
    total = np.array([frame['total'] for frame in frames])
    inside = {name: np.array([frame[name] for frame in frames]) for name in STAGES}
    rows = {**inside, 'DDS and rclpy, both ways': total - sum(inside.values()),
            'camera to label': total, 'of it not the network': total - inside['network']}
    return text_table([[name, *(f'{value:.1f}' for value in np.percentile(values, (50, 90)))]
                       for name, values in rows.items()],
                      ['ms', 'median', 'p90'], ['left', 'right', 'right'])


def main() -> int:
    """Measure and print; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--model', type=Path, default=default_model(), help='model file')
    parser.add_argument('--size', type=int, nargs=2, default=(720, 1280),
                        metavar=('HEIGHT', 'WIDTH'), help='of the camera (720 1280)')
    parser.add_argument('--rate', type=float, default=15, help='frames a second (15)')
    parser.add_argument('--seconds', type=float, default=12, help='how long (12)')
    arguments = parser.parse_args()
    isolate()
    with tempfile.TemporaryDirectory() as folder:
        frames, sent = run(arguments.model, tuple(arguments.size), arguments.rate,
                           arguments.seconds, Path(folder))
    if not frames:
        print('no label came back; is the rate more than the model manages?', file=sys.stderr)
        return 1
    print(f'{len(frames)} of {sent} frames of {arguments.size[0]} x {arguments.size[1]} at '
          f'{arguments.rate:g} Hz labelled by {arguments.model.stem}\n{table(frames)}')
    return 0


if __name__ == '__main__':
    sys.exit(main())
