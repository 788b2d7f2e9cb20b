"""Old images, and the clocks that tell which are old."""

from collections.abc import Iterator
from pathlib import Path

from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticArray
from node_process import Diagnostics, image_message, NodeProcess, Peer, running_node, street
import pytest
from rosgraph_msgs.msg import Clock
from segret_ros.node.freshness import NO_CLOCK, staleness
from sensor_msgs.msg import Image

PICTURE = street(45, 61)


@pytest.mark.parametrize('age_s, now_s, max_age_s, said', [
    (0.1, 100.0, 0.2, ''), (0.2, 100.0, 0.2, ''), (-0.2, 100.0, 0.2, ''),
    (5.0, 100.0, 0.0, ''), (-5.0, 0.0, 0.0, ''),
    (0.3, 100.0, 0.2, 'the image is 0.300 s old, and max_age is 0.2 s'),
    (100.0, 100.0, 0.2, 'the stamp of the image is 0, so that its age is unknown, and max_age'),
    (0.1, 0.1, 0.2, ''),
    (-0.3, 100.0, 0.2, 'the stamp is 0.300 s ahead of the clock of the node'),
    (-100.0, 0.0, 0.2, NO_CLOCK)])
def test_staleness(age_s: float, now_s: float, max_age_s: float, said: str) -> None:
    told = staleness(age_s, now_s, max_age_s)
    assert told.startswith(said) and bool(told) == bool(said)


def frame(seconds: float) -> Image:
    """Give a frame with a stamp in seconds, and some nanoseconds of its own."""
    message = image_message(PICTURE, 'rgb8')
    message.header.stamp = Time(sec=int(seconds), nanosec=int(seconds % 1 * 1e6) * 1000
                                + message.header.stamp.nanosec % 1000)
    return message


class Ages:
    """A node whose camera gives images of any age."""

    def __init__(self, peer: Peer) -> None:
        self.peer = peer
        self.camera = peer.advertise(Image, '/image')
        self.label = peer.listen(Image, '/segmentation/label')
        self.status = peer.listen(DiagnosticArray, '/segmentation/status')

    def now(self) -> float:
        """Give the peer's clock, in seconds."""
        return self.peer.node.get_clock().now().nanoseconds / 1e9

    def ask(self, stamp_s: float) -> tuple[bool, str]:
        """Tell of an image with a stamp whether it was labelled, and the status's message."""
        message = frame(stamp_s)
        array, = self.peer.ask(self.camera, message, self.status)
        self.peer.spin(0.05)
        return bool(self.label.of(message.header.stamp)), array.status[0].message


@pytest.fixture
def ages(model_file: Path, peer: Peer, tmp_path: Path) -> Iterator[Ages]:
    """Run a node by the machine's clock."""
    with running_node(tmp_path, model=str(model_file), max_age=1.0, frozen_frames=0):
        ages = Ages(peer)
        peer.connect(ages.camera, lambda: frame(ages.now()), ages.label, ages.status)
        yield ages


def test_old_images_are_not_labelled_and_counted(ages: Ages, diagnostics: Diagnostics) -> None:
    before = diagnostics.counts('camera')
    labelled, message = ages.ask(ages.now() - 10)
    assert not labelled and message.startswith('the image is 10.')
    labelled, message = ages.ask(ages.now() + 10)
    assert not labelled and 'ahead of the clock of the node' in message
    assert ages.ask(ages.now()) == (True, 'valid')
    after = diagnostics.wait_for('camera', lambda now: now['last_problem'])
    assert int(after['stale']) == before['stale'] + 2
    assert after['level'] == 'warn' and 'ahead of the clock of the node' in after['message']


def test_labels_that_became_too_old_are_marked(ages: Ages, diagnostics: Diagnostics) -> None:
    assert ages.peer.set_parameters(max_age=0.5)[0].successful
    found = []
    for tenths in range(40):  # older and older: between fresh and stale lies late
        labelled, message = ages.ask(ages.now() - 0.46 - tenths / 1000)
        found.append((labelled, message == 'valid'))
    assert found[0] == (True, True) and (False, False) in found
    assert (True, False) in found and (False, True) not in found
    assert diagnostics.counts('camera')['late'] == found.count((True, False))


@pytest.fixture
def simulated(model_file: Path, peer: Peer, tmp_path: Path) -> Iterator[NodeProcess]:
    """Run a node by a simulated clock."""
    with running_node(tmp_path, model=str(model_file), max_age=0.5, use_sim_time=True,
                      frozen_frames=0) as node:
        yield node


def test_simulated_time_paused_and_jumping_back(simulated: NodeProcess, peer: Peer,
                                                diagnostics: Diagnostics) -> None:
    ages = Ages(peer)
    clock = peer.advertise(Clock, '/clock')
    peer.connect(ages.camera, lambda: frame(100.0), ages.status)
    assert ages.ask(100.0) == (False, NO_CLOCK)
    peer.wait_for(lambda: clock.get_subscription_count(), 'the node on /clock')

    def set_clock(seconds: float) -> None:
        clock.publish(Clock(clock=Time(sec=int(seconds), nanosec=int(seconds % 1 * 1e9))))
        peer.wait_for(lambda: simulated_now() == seconds, 'the clock')

    def simulated_now() -> float:
        stamp = diagnostics.any_newest().header.stamp
        return stamp.sec + stamp.nanosec / 1e9

    set_clock(100.0)
    assert ages.ask(100.0) == (True, 'valid')
    assert ages.ask(99.0)[0] is False
    assert ages.ask(100.0) == (True, 'valid')  # paused: the same age for ever
    set_clock(160.0)
    assert ages.ask(160.0) == (True, 'valid')
    set_clock(100.0)  # the bag begins anew
    labelled, message = ages.ask(159.9)
    assert not labelled and 'ahead of the clock of the node' in message
    assert ages.ask(100.0) == (True, 'valid')
