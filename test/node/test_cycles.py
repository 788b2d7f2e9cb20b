# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Through the lifecycle again and again, and killed: nothing is left behind."""

from pathlib import Path
import signal

from live_node import Peer, running_node, street_image
from sensor_msgs.msg import Image

CYCLES = 100
WARM_UP = 20  # cycles after which the allocator has its arenas
MOST_GROWTH_MB = 10


def entities(peer: Peer) -> list[tuple[str, int, int]]:
    """Return the publishers and subscriptions of each topic of the graph."""
    return sorted((name, peer.node.count_publishers(name), peer.node.count_subscribers(name))
                  for name, _ in peer.node.get_topic_names_and_types())


def test_a_hundred_cycles_leave_nothing(model_file: Path, peer: Peer, tmp_path: Path) -> None:
    with running_node(tmp_path, model=str(model_file), device='cpu', autostart=False,
                      frozen_frames=0) as node:
        camera = peer.advertise(Image, '/image')
        label = peer.listen(Image, '/segmentation/label')
        assert peer.state() == 'unconfigured'
        for cycle in range(CYCLES):
            assert peer.change('configure', 'activate')
            if cycle % 10 == 0:
                label.clear()
                peer.connect(camera, street_image, label)
            assert peer.change('deactivate', 'cleanup')
            if cycle == WARM_UP:
                peer.wait_for_topics(0, 0)
                threads, before = node.threads(), entities(peer)
                memory_mb = node.memory_mb()
        peer.wait_for(lambda: node.threads() <= threads and entities(peer) == before,
                      'as many threads, topics and ends of them as before')
        assert node.memory_mb() - memory_mb < MOST_GROWTH_MB


def test_a_killed_node_labels_again_after_its_restart(model_file: Path, peer_apart: Peer,
                                                      tmp_path: Path) -> None:
    peer = peer_apart
    camera = peer.advertise(Image, '/image')
    label = peer.listen(Image, '/segmentation/label')
    with running_node(tmp_path, model=str(model_file), frozen_frames=0) as node:
        peer.connect(camera, street_image, label)
        node.interrupt(signal.SIGKILL)
        assert node.wait() == -signal.SIGKILL
    label.clear()
    with running_node(tmp_path, model=str(model_file), frozen_frames=0):
        peer.connect(camera, street_image, label)
