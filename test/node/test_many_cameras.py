# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Four cameras that send more than the engine manages: fair, newest only, nothing builds up."""

from collections import Counter, defaultdict
from pathlib import Path
import time

from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticArray
from live_node import Diagnostics, new_header, noisy_jpegs, Peer, running_node, values_of
import numpy as np
from sensor_msgs.msg import CompressedImage

CAMERAS = ('front', 'left', 'right', 'rear')
RATE_HZ = 30
SECONDS = 6
IMAGE_S = 0.05  # that an image takes: fewer than come, on any machine
PROGRAM = Path(__file__).with_name('slow_engine_node.py')


def test_four_cameras_are_served_alike_and_newest_first(
        model_file: Path, tmp_path: Path, peer: Peer, diagnostics: Diagnostics) -> None:
    (tmp_path / 'seconds').write_text(str(IMAGE_S))
    with running_node(tmp_path, (str(PROGRAM), str(tmp_path / 'seconds')), model=str(model_file),
                      device='cpu', cameras=list(CAMERAS), image_transport='compressed'):
        pictures = noisy_jpegs()
        publishers = {name: peer.advertise(CompressedImage, f'/{name}/image/compressed')
                      for name in CAMERAS}
        statuses = {name: peer.listen(DiagnosticArray, f'/{name}/segmentation/status')
                    for name in CAMERAS}

        def frame(number: int) -> CompressedImage:
            message = CompressedImage(header=new_header(), format='jpeg',
                                      data=pictures[number % len(pictures)])
            now = time.time_ns()
            message.header.stamp = Time(sec=now // 10**9, nanosec=now % 10**9)
            return message

        for name in CAMERAS:
            peer.connect(publishers[name], lambda: frame(len(statuses[name])), statuses[name])
        before = {name: diagnostics.counts(f'camera {name}') for name in CAMERAS}
        for inbox in statuses.values():
            inbox.clear()
        sent = defaultdict(list)
        began = time.monotonic()
        for number in range(RATE_HZ * SECONDS):
            for name in CAMERAS:
                message = frame(number)
                publishers[name].publish(message)
                sent[name].append(message.header.stamp)
            peer.spin(max(0.0, began + (number + 1) / RATE_HZ - time.monotonic()))
        peer.spin(1.0)
        gained = {name: Counter(diagnostics.counts(f'camera {name}')) for name in CAMERAS}
        for name in CAMERAS:
            gained[name].subtract(before[name])

    served = [gained[name]['processed'] for name in CAMERAS]
    assert min(served) > 10 and max(served) <= 1.1 * min(served) + 1, served
    for name in CAMERAS:
        assert gained[name]['dropped'] > 0  # the engine managed fewer than came
        assert gained[name]['failed'] == gained[name]['rejected'] == 0
        stamps = [(array.header.stamp.sec, array.header.stamp.nanosec)
                  for array in statuses[name]]
        assert stamps == sorted(set(stamps))  # in order, each once
        values = [values_of(array.status[0])
                  for array in statuses[name]]
        processing = [float(value['processing_time_ms']) for value in values]
        ages = np.array([float(value['age_ms']) for value in values])
        # A frame waits for one round at most, and its own labels take a turn of the next.
        bound = 2 * len(CAMERAS) * np.median(processing)
        assert np.median(ages) < bound and np.percentile(ages, 90) < bound, (ages, processing)
