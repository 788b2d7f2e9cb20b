# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Malformed messages by the thousand, over DDS: the node rejects them and labels the good ones."""

from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
import time
from typing import Any

import cv2
from diagnostic_msgs.msg import DiagnosticArray
from live_node import Diagnostics, image_message, Inbox, new_header, Peer, running_node, street
from malformed import malformed_compressed, malformed_images, MAX_PIXELS
import numpy as np
import pytest
from rclpy.publisher import Publisher
from sensor_msgs.msg import CompressedImage, Image

SEEDS = {'raw': 20_261, 'compressed': 20_262}
MALFORMED = 5000
WARM_UP = 500
BATCH = 100
GROWTH_MB = 20.0
WARNING_PERIOD_S = 5.0


def good_image(number: int) -> Image:
    """Return a frame that is right, another for each number."""
    return image_message(np.roll(street(120, 160), number, axis=1), 'rgb8')


def good_compressed(number: int) -> CompressedImage:
    """Return a frame that is right, another for each number; JPEG and PNG by turns."""
    picture = np.roll(street(120, 160), number, axis=1)
    _, data = cv2.imencode(('.jpg', '.png')[number % 2], picture)
    return CompressedImage(header=new_header(), format='jpeg', data=data.tobytes())


KINDS = {'raw': (Image, '/image', malformed_images, good_image),
         'compressed': (CompressedImage, '/image/compressed', malformed_compressed,
                        good_compressed)}


def send(peer: Peer, camera: Publisher, malformed: Iterator[Any], count: int,
         good: Callable[[int], Any], label: Inbox, status: Inbox) -> None:
    """Send malformed frames, and after each batch a good one, whose label must come."""
    for number in range(count // BATCH):
        for message in islice(malformed, BATCH):
            peer.ask(camera, message, status)
            status.clear()
        frame = good(number)
        answer, = peer.ask(camera, frame, label)
        assert (answer.height, answer.width) == (120, 160) and answer.header == frame.header
        label.clear()


@pytest.mark.parametrize('transport', KINDS)
def test_malformed_frames_cost_neither_the_node_nor_memory_nor_a_good_frame(
        transport: str, model_file: Path, tmp_path: Path, peer: Peer) -> None:
    kind, topic, messages, good = KINDS[transport]
    malformed = messages(SEEDS[transport])
    start = time.monotonic()
    with running_node(tmp_path, model=str(model_file), image_transport=transport,
                      image_reliability='reliable', max_pixels=MAX_PIXELS) as node:
        label = peer.listen(Image, '/segmentation/label')
        status = peer.listen(DiagnosticArray, '/segmentation/status')
        diagnostics = Diagnostics(peer)
        camera = peer.advertise(kind, topic)
        peer.connect(camera, lambda: good(0), label, status)
        send(peer, camera, malformed, WARM_UP, good, label, status)
        before, memory_mb = diagnostics.counts('camera'), node.memory_mb()
        send(peer, camera, malformed, MALFORMED, good, label, status)
        gained = {key: value - before[key] for key, value in diagnostics.counts('camera').items()}
        grown_mb = node.memory_mb() - memory_mb
        most_warnings = 1 + (time.monotonic() - start) / WARNING_PERIOD_S
        warnings = node.log().count('frame rejected: ')
        peer.node.destroy_publisher(camera)
        peer.close_inbox(label)
        peer.close_inbox(status)
    assert 1 <= warnings <= most_warnings
    assert grown_mb < GROWTH_MB
    assert gained['rejected'] == MALFORMED
    assert gained['processed'] == MALFORMED // BATCH
    assert gained['failed'] == 0
