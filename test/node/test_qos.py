# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Who gets messages: best effort and reliable cameras, and subscribers that come late."""


from live_node import ALL, Diagnostics, Peer, pixels_of, STREET, street_image
import numpy as np
import pytest
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from segret_ros.inference import Segmenter
from sensor_msgs.msg import Image

BEST_EFFORT = QoSProfile(depth=5, reliability=ReliabilityPolicy.BEST_EFFORT)
PARAMETERS = {'autostart': False}  # of `node`
pytestmark = pytest.mark.usefixtures('node')


def activate(peer: Peer, image_reliability: str) -> None:
    """Bring the node to `active` with a fresh configuration."""
    peer.go_to('unconfigured')
    assert peer.set_parameters(image_reliability=image_reliability)[0].successful
    peer.go_to('active')


@pytest.mark.parametrize('image_reliability, camera_qos', [
    ('best_effort', BEST_EFFORT), ('best_effort', ALL), ('reliable', ALL)])
def test_frames_of_a_fitting_camera_are_labelled(peer: Peer, image_reliability: str,
                                                 camera_qos: QoSProfile) -> None:
    activate(peer, image_reliability)
    camera, label = peer.street_camera('label', qos=camera_qos)
    for _ in range(5):
        peer.ask(camera, street_image(), label)


def test_a_reliable_subscription_gets_nothing_from_a_best_effort_camera(peer: Peer) -> None:
    activate(peer, 'reliable')
    fitting, label = peer.street_camera('label')
    camera = peer.advertise(Image, '/image', BEST_EFFORT)
    unanswered = street_image()
    camera.publish(unanswered)
    peer.ask(fitting, street_image(), label)
    assert not label.of(unanswered.header.stamp)
    assert (camera.get_subscription_count(), fitting.get_subscription_count()) == (0, 1)


def test_diagnostics_name_topic_and_policy_of_a_camera_that_does_not_fit(
        peer: Peer, diagnostics: Diagnostics) -> None:
    activate(peer, 'reliable')
    camera = peer.advertise(Image, '/image', BEST_EFFORT)
    values = diagnostics.wait_for('camera', lambda now: now['level'] == 'error')
    peer.node.destroy_publisher(camera)
    assert values['message'] == values['qos_problem'] == (
        'a publisher on /image offers another RELIABILITY than the node asks for, so none of its '
        'images arrive: set image_reliability to best_effort')


def test_diagnostics_name_topic_and_policy_of_a_reader_that_does_not_fit(
        peer: Peer, diagnostics: Diagnostics) -> None:
    activate(peer, 'best_effort')
    latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
    reader = peer.listen(Image, '/segmentation/label', latched)
    values = diagnostics.wait_for('camera', lambda now: now['qos_problem'])
    peer.close_inbox(reader)
    assert values['level'] == 'error'  # there is no image either
    assert values['qos_problem'] == (
        'a subscriber of /segmentation/label asks for another DURABILITY than the node offers, so '
        'it receives nothing: let it ask for reliable or best effort, volatile')


@pytest.mark.parametrize('image_reliability', ['best_effort', 'reliable'])
def test_the_image_subscription_keeps_one_frame(peer: Peer, image_reliability: str) -> None:
    activate(peer, image_reliability)
    peer.wait_for(lambda: peer.node.count_subscribers('/image') == 1, 'the subscription')
    qos = peer.node.get_subscriptions_info_by_topic('/image')[0].qos_profile
    assert qos.reliability == ReliabilityPolicy[image_reliability.upper()]
    assert qos.durability == DurabilityPolicy.VOLATILE
    assert qos.depth in (1, 0)  # 0 where discovery does not tell it


@pytest.mark.parametrize('qos', [BEST_EFFORT, ALL])
def test_a_late_subscriber_gets_the_next_label(peer: Peer, segmenter: Segmenter,
                                               qos: QoSProfile) -> None:
    activate(peer, 'best_effort')
    camera, first = peer.street_camera('label')
    late = peer.listen(Image, '/segmentation/label', qos)
    earlier = {(message.header.stamp.sec, message.header.stamp.nanosec) for message in first}
    peer.connect(camera, street_image, late)
    assert (late[0].header.stamp.sec, late[0].header.stamp.nanosec) not in earlier
    np.testing.assert_array_equal(pixels_of(late[0]), segmenter(STREET).label)


@pytest.mark.parametrize('output', ['color', 'overlay'])
def test_a_picture_is_published_only_when_somebody_listens(peer: Peer, output: str) -> None:
    """The publisher's own count tells a late subscriber how many messages it missed."""
    activate(peer, 'best_effort')
    camera, label = peer.street_camera('label')
    if label.numbers[0] is None:
        pytest.skip('this RMW does not number the messages of a publisher')
    unheard = 10
    for _ in range(unheard):
        peer.ask(camera, street_image(), label)
    assert label.numbers[-1] > unheard  # the label, for comparison, is always published

    picture = peer.listen(Image, f'/segmentation/{output}')
    sent = peer.connect(camera, street_image, picture)
    assert picture.numbers[0] <= sent

    def is_silent_unheard() -> bool:
        """Return whether none was published between two subscriptions; the node learns it late."""
        last = peer.listen(Image, f'/segmentation/{output}')
        peer.connect(camera, street_image, last)
        peer.close_inbox(last)
        for _ in range(unheard):
            peer.ask(camera, street_image(), label)
        again = peer.listen(Image, f'/segmentation/{output}')
        sent = peer.connect(camera, street_image, again)
        peer.close_inbox(again)
        return again.numbers[0] <= last.numbers[-1] + sent

    peer.close_inbox(picture)
    peer.wait_for(is_silent_unheard, 'a time without pictures')
