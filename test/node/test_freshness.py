# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Old images, and the clocks that tell which are old."""

from collections.abc import Iterator
from pathlib import Path
import re

from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticArray
from live_node import Diagnostics, Peer, running_node, street_image
import pytest
from rosgraph_msgs.msg import Clock
from segret_ros.node.stamps import NO_CLOCK, staleness
from sensor_msgs.msg import Image

PROGRAM = str(Path(__file__).with_name('slow_engine_node.py'))


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
    """Return a frame with a stamp in seconds, and some nanoseconds of its own."""
    message = street_image()
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
        self.fresh = self.now  # gives a stamp that is neither too old nor ahead

    def now(self) -> float:
        """Return the peer's clock, in seconds."""
        return self.peer.node.get_clock().now().nanoseconds / 1e9

    def ask(self, stamp_s: float) -> tuple[bool, str]:
        """Send an image with a stamp; return whether it was labelled, and the status's message."""
        message = frame(stamp_s)
        array, = self.peer.ask(self.camera, message, self.status)
        return self.has_label(message), array.status[0].message

    def has_label(self, message: Image) -> bool:
        """Return whether a label came for an image before that of a later one, as they must."""
        later = []

        def is_decided() -> bool:
            later.append(frame(self.fresh()))
            self.camera.publish(later[-1])
            self.peer.spin(0.05, until=lambda: bool(self.label.of(later[-1].header.stamp)))
            return any(self.label.of(image.header.stamp) for image in [message, *later])

        self.peer.wait_for(is_decided, 'the label of a fresh image')
        return bool(self.label.of(message.header.stamp))


@pytest.fixture
def ages(model_file: Path, peer: Peer, tmp_path: Path) -> Iterator[Ages]:
    """Run a node by the machine's clock."""
    with running_node(tmp_path, model=str(model_file), max_age=5.0, frozen_frames=0):
        ages = Ages(peer)
        peer.connect(ages.camera, lambda: frame(ages.now()), ages.label, ages.status)
        yield ages


def test_old_images_are_not_labelled_and_counted(ages: Ages, diagnostics: Diagnostics) -> None:
    before = diagnostics.counts('camera')
    labelled, message = ages.ask(ages.now() - 10)
    assert not labelled
    age_s, = re.match(r'the image is (\d+\.\d+) s old, and max_age is 5', message).groups()
    assert float(age_s) >= 10
    labelled, message = ages.ask(ages.now() + 10)
    assert not labelled and 'ahead of the clock of the node' in message
    assert ages.ask(ages.now()) == (True, 'valid')
    after = diagnostics.wait_for('camera', lambda now: now['last_problem'])
    assert int(after['stale']) == before['stale'] + 2
    assert after['level'] == 'warn' and 'ahead of the clock of the node' in after['message']


class Simulation(Ages):
    """A node by a simulated clock, with an engine that can be held."""

    def __init__(self, peer: Peer, diagnostics: Diagnostics, seconds: Path) -> None:
        super().__init__(peer)
        self.fresh = lambda: 100.0
        self._clock = peer.advertise(Clock, '/clock')
        self._diagnostics = diagnostics
        self._seconds = seconds  # file: what an image takes
        self._running = seconds.with_name(f'{seconds.name}.running')

    def set_clock(self, seconds: float) -> None:
        """Set the clock, and wait until the node knows it."""
        def told() -> bool:
            self._clock.publish(Clock(clock=Time(sec=int(seconds))))
            return self._diagnostics.any_newest().header.stamp.sec == seconds
        self.peer.wait_for(told, 'the clock')

    def late(self) -> int:
        """Return the count of labels that became too old."""
        return next(int(item.value) for status in self._diagnostics.any_newest().status
                    if status.name == '/segret: camera'
                    for item in status.values if item.key == 'late')

    def hold(self) -> None:
        """Let the next image wait in the engine."""
        self._seconds.write_text('60')

    def wait_until_held(self) -> None:
        """Return when an image waits in the engine."""
        self.peer.wait_for(self._running.exists, 'the engine')

    def release(self) -> None:
        """Let the image go on."""
        self._seconds.write_text('0')


@pytest.fixture
def simulation(model_file: Path, peer: Peer, diagnostics: Diagnostics,
               tmp_path: Path) -> Iterator[Simulation]:
    """Run a node by a simulated clock, that does not run yet."""
    seconds = tmp_path / 'seconds'
    seconds.write_text('0')
    with running_node(tmp_path, (PROGRAM, str(seconds)), model=str(model_file), device='cpu',
                      max_age=0.5, use_sim_time=True, frozen_frames=0):
        simulation = Simulation(peer, diagnostics, seconds)
        peer.connect(simulation.camera, lambda: frame(100.0), simulation.status)
        yield simulation


def test_simulated_time_paused_and_jumping_back(simulation: Simulation) -> None:
    timeless = frame(100.0)
    told, = simulation.peer.ask(simulation.camera, timeless, simulation.status)
    assert told.status[0].message == NO_CLOCK
    simulation.set_clock(100)
    assert simulation.ask(100.0) == (True, 'valid')
    assert not simulation.label.of(timeless.header.stamp)
    assert simulation.ask(99.0)[0] is False
    assert simulation.ask(100.0) == (True, 'valid')  # paused: the same age for ever
    simulation.set_clock(160)
    assert simulation.ask(160.0) == (True, 'valid')
    simulation.set_clock(100)  # the bag begins anew
    labelled, message = simulation.ask(159.9)
    assert not labelled and 'ahead of the clock of the node' in message
    assert simulation.ask(100.0) == (True, 'valid')


def test_a_label_that_became_too_old_is_marked(simulation: Simulation) -> None:
    simulation.set_clock(100)
    assert simulation.ask(99.75) == (True, 'valid')
    assert simulation.late() == 0
    late = frame(100.0)
    simulation.hold()
    simulation.camera.publish(late)
    simulation.wait_until_held()
    simulation.set_clock(101)
    simulation.release()
    status, label = (simulation.peer.wait_for(lambda: inbox.of(late.header.stamp), 'the answer')[0]
                     for inbox in (simulation.status, simulation.label))
    assert status.status[0].message == 'the image is 1.000 s old, and max_age is 0.5 s'
    assert label.header == late.header
    simulation.peer.wait_for(lambda: simulation.late() == 1, 'the count')
