"""Through the lifecycle again and again, and killed: nothing is left behind."""

from pathlib import Path
import signal
import time

from node_process import image_message, Peer, running_node, street
from sensor_msgs.msg import Image

CYCLES = 100
WARM_UP = 20  # cycles after which the allocator has its arenas
MOST_GROWTH_MB = 10
RESTART_S = 5.0


def entities(peer: Peer) -> list[tuple[str, int, int]]:
    """Give the publishers and subscriptions of each topic of the graph."""
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
                peer.connect(camera, lambda: image_message(street(45, 61), 'rgb8'), label)
            assert peer.change('deactivate', 'cleanup')
            if cycle == WARM_UP:
                peer.spin(1.0)
                before = (node.threads(), entities(peer))
                memory_mb = node.memory_mb()
        peer.spin(1.0)
        assert (node.threads(), entities(peer)) == before
        assert node.memory_mb() - memory_mb < MOST_GROWTH_MB


def test_a_killed_node_labels_again_after_its_restart(model_file: Path, peer: Peer,
                                                      tmp_path: Path) -> None:
    camera = peer.advertise(Image, '/image')
    label = peer.listen(Image, '/segmentation/label')
    with running_node(tmp_path, model=str(model_file), frozen_frames=0) as node:
        peer.connect(camera, lambda: image_message(street(45, 61), 'rgb8'), label)
        node.interrupt(signal.SIGKILL)
        assert node.wait() == -signal.SIGKILL
    label.clear()
    started = time.monotonic()
    with running_node(tmp_path, model=str(model_file), frozen_frames=0):
        peer.connect(camera, lambda: image_message(street(45, 61), 'rgb8'), label)
        assert time.monotonic() - started < RESTART_S
