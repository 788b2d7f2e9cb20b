# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
Soak test: four cameras at 30 Hz into a node that is slower, for as long as wanted.

`make soak` runs it for 30 minutes and leaves numbers and a plot in out/soak. It exits with 1 where
memory grows, a camera is served less than the others, or labels come later than two rounds.
"""

import argparse
import json
from pathlib import Path
import sys
import time

import numpy as np
from segret_ros.offline.charts import as_svg, COLORS, Figure, new_figure
from segret_ros.offline.node_process import isolate
from segret_ros.text_table import text_table

TESTS = Path(__file__).resolve().parents[1] / 'test'
CAMERAS = ('front', 'left', 'right', 'rear')
RATE_HZ = 30
SAMPLE_S = 10.0
WARM_UP_S = 60.0  # not judged
MOST_GROWTH_MB = 1.0  # in 10 minutes, by a line through all samples
MOST_UNFAIR = 0.1
MOST_ROUNDS = 2  # from receipt to label, each as long as all cameras' turns take
PANELS = (('memory_mb', 'memory of the node, MB'),
          ('latency_p50_ms', 'receipt to label, median of 10 s, ms'),
          ('processed', 'labels since the start, each camera'))
WIDTH, HEIGHT = 1100, 360  # pixels


def run(minutes: float, folder: Path) -> list[dict]:
    """Run the node and send images; return a sample per camera every 10 s."""
    from builtin_interfaces.msg import Time
    sys.path.append(str(TESTS))
    from live_node import Diagnostics, noisy_jpegs, Peer, running_node, values_of
    from sensor_msgs.msg import CompressedImage
    from std_msgs.msg import Header
    peer = Peer()
    diagnostics = Diagnostics(peer)
    jpegs, samples = noisy_jpegs(), []
    with running_node(folder, cameras=list(CAMERAS), image_transport='compressed') as node:
        publishers = [peer.advertise(CompressedImage, f'/{name}/image/compressed')
                      for name in CAMERAS]
        diagnostics.newest('node')
        began, number, next_sample = time.monotonic(), 0, SAMPLE_S
        while (seconds := time.monotonic() - began) < 60 * minutes:
            now = time.time_ns()
            for publisher in publishers:
                publisher.publish(CompressedImage(
                    header=Header(stamp=Time(sec=now // 10**9, nanosec=now % 10**9)),
                    format='jpeg', data=jpegs[number % len(jpegs)]))
            number += 1
            if seconds >= next_sample:
                next_sample += SAMPLE_S
                statuses = {status.name: status for status in
                            diagnostics.any_newest().status}
                for name in CAMERAS:
                    values = values_of(statuses[f'/segret: camera {name}'])
                    samples.append({
                        'seconds': seconds, 'camera': name, 'memory_mb': node.memory_mb(),
                        'threads': node.threads(), 'processed': int(values['processed']),
                        'dropped': int(values['dropped']), 'failed': int(values['failed']),
                        'processing_ms': float(values['processing_time_ms']),
                        'latency_p50_ms': float(values['latency_p50_ms']),
                        'latency_p99_ms': float(values['latency_p99_ms'])})
            peer.spin(max(0.0, began + number / RATE_HZ - time.monotonic()))
    peer.close()
    return samples


def judge(samples: list[dict]) -> dict[str, float]:
    """Return growth of memory, latency in rounds, and the least served camera's share."""
    judged = [sample for sample in samples if sample['seconds'] > WARM_UP_S]
    last = samples[-len(CAMERAS):]
    served = [sample['processed'] for sample in last]
    latency_ms = np.array([sample['latency_p50_ms'] for sample in judged])
    round_ms = len(CAMERAS) * np.array([sample['processing_ms'] for sample in judged])
    return {'memory_mb_in_10_minutes': slope(judged, 'memory_mb'),
            'latency_p50_ms': float(np.median(latency_ms)),
            'latency_in_rounds': float(np.median(latency_ms / round_ms)),
            'least_to_most_served': min(served) / max(served),
            'labels': sum(served), 'failed': sum(sample['failed'] for sample in last)}


def slope(samples: list[dict], key: str) -> float:
    """Return the growth of a number in 10 minutes."""
    seconds = [sample['seconds'] for sample in samples]
    return float(600 * np.polyfit(seconds, [sample[key] for sample in samples], 1)[0])


@as_svg
def plot(samples: list[dict], verdict: dict[str, float]) -> Figure:
    """Plot a soak test: a panel per number, a line per camera."""
    figure = new_figure(WIDTH, HEIGHT)
    figure.suptitle(f'Four cameras at {RATE_HZ} Hz for {samples[-1]["seconds"] / 60:.0f} '
                    f'minutes: {verdict["labels"]} labels', x=0.01, ha='left', fontweight='bold')
    for panel, (key, title) in zip(figure.subplots(1, len(PANELS)), PANELS):
        for color, name in zip(COLORS, CAMERAS):
            own = [sample for sample in samples if sample['camera'] == name]
            panel.plot([sample['seconds'] / 60 for sample in own],
                       [sample[key] for sample in own], color=color, label=name)
        panel.set(title=title, xlabel='minutes', ylim=(0, 1.2 * max(s[key] for s in samples)))
    figure.axes[-1].legend(loc='upper left')
    return figure


def main() -> int:
    """Run the soak test; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--minutes', type=float, default=30, help='how long (30)')
    parser.add_argument('--output', type=Path, default=Path('out/soak'), help='folder')
    arguments = parser.parse_args()
    if arguments.minutes * 60 < 2 * WARM_UP_S:
        parser.error(f'--minutes must be at least {2 * WARM_UP_S / 60:g}')
    isolate()
    arguments.output.mkdir(parents=True, exist_ok=True)
    samples = run(arguments.minutes, arguments.output)
    verdict = judge(samples)
    (arguments.output / 'soak.json').write_text(json.dumps(
        {'verdict': verdict, 'samples': samples}, indent=1))
    (arguments.output / 'soak.svg').write_text(plot(samples, verdict))
    print(text_table([[name, f'{value:.2f}'] for name, value in verdict.items()], (),
                     ['left', 'right']))
    sound = (verdict['memory_mb_in_10_minutes'] < MOST_GROWTH_MB and not verdict['failed']
             and verdict['latency_in_rounds'] < MOST_ROUNDS
             and verdict['least_to_most_served'] > 1 - MOST_UNFAIR)
    print(f'{"sound" if sound else "NOT sound"}; plot: {arguments.output / "soak.svg"}')
    return 0 if sound else 1


if __name__ == '__main__':
    sys.exit(main())
