# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Every lifecycle transition, through the node's own services."""

from pathlib import Path
import re

from lifecycle_msgs.msg import Transition, TransitionEvent
from lifecycle_msgs.srv import GetAvailableTransitions
from live_node import Diagnostics, NodeProcess, Peer, running_node, street_image, WAY_TO
import pytest
from sensor_msgs.msg import Image

PARAMETERS = {'autostart': False}  # of `node`
pytestmark = pytest.mark.usefixtures('node')


def test_without_autostart_the_node_waits_unconfigured(peer_apart: Peer, model_file: Path,
                                                       tmp_path: Path) -> None:
    with running_node(tmp_path, model=str(model_file), autostart=False) as node:
        assert peer_apart.state() == 'unconfigured'
        assert 'unconfigured: autostart is false' in node.log()
        status = Diagnostics(peer_apart).newest('node')
        assert (status.level, status.message) == (status.WARN, 'not configured')


def test_the_log_reports_each_state(peer: Peer, node: NodeProcess) -> None:
    peer.go_to('active')
    begin = len(node.log())
    assert peer.change('deactivate', 'cleanup', 'configure', 'activate')
    told = re.findall(r'\[segret\]: (\w+): ', node.log()[begin:])
    assert told == ['inactive', 'unconfigured', 'inactive', 'active']


@pytest.mark.parametrize('state, publishers, subscriptions', [
    ('unconfigured', 0, 0), ('inactive', 1, 0), ('active', 1, 1)])
def test_a_state_has_its_topics(peer: Peer, state: str, publishers: int,
                                subscriptions: int) -> None:
    peer.go_to('active')  # else the first state would have them because nothing happened yet
    peer.wait_for_topics(1, 1)
    peer.go_to(state)
    assert peer.state() == state
    peer.wait_for_topics(publishers, subscriptions)


def test_diagnostics_report_an_inactive_from_an_active_node(peer: Peer,
                                                            diagnostics: Diagnostics) -> None:
    peer.go_to('inactive')
    status = diagnostics.newest('node')
    assert (status.level, status.message) == (status.WARN, 'not activated')
    assert peer.change('activate')
    status = diagnostics.newest('node')
    assert (status.level, status.message) == (status.OK, 'active')
    camera = diagnostics.newest('camera')
    assert camera.level == camera.WARN
    assert camera.message.startswith('waiting: no image on /image yet')


def test_labels_come_only_while_active(peer: Peer) -> None:
    peer.go_to('active')
    camera, label = peer.street_camera('label')
    assert peer.change('deactivate')
    unanswered = [street_image() for _ in range(3)]
    for message in unanswered:
        camera.publish(message)
        peer.spin(0.1)
    assert peer.change('activate')
    peer.connect(camera, street_image, label)
    peer.ask(camera, street_image(), label)
    assert not [message for message in unanswered if label.of(message.header.stamp)]


def test_counts_begin_anew_with_each_activation(peer: Peer, diagnostics: Diagnostics) -> None:
    peer.go_to('active')
    peer.street_camera('label')
    assert diagnostics.counts('camera')['received'] > 0
    assert peer.change('deactivate', 'activate')
    assert set(diagnostics.counts('camera').values()) == {0}


def test_a_second_configuration_works_like_the_first(peer: Peer) -> None:
    camera = peer.advertise(Image, '/image')
    for _ in range(3):
        peer.go_to('unconfigured')
        peer.go_to('active')
        label = peer.listen(Image, '/segmentation/label')
        peer.connect(camera, street_image, label)
        answer = street_image()
        peer.ask(camera, answer, label)
        peer.spin(0.1)
        assert len(label.of(answer.header.stamp)) == 1  # no worker of the last turn is left
        peer.close_inbox(label)
    peer.wait_for_topics(1, 1)


def test_each_transition_is_announced(peer: Peer) -> None:
    peer.go_to('unconfigured')
    events = peer.listen(TransitionEvent, '/segret/transition_event')

    def heard() -> bool:  # the first may be lost: discovery ends on both sides unseen
        assert peer.change('configure', 'cleanup')
        return bool(events)

    peer.wait_for(heard, 'the announcer')
    peer.wait_for(lambda: events[-1].goal_state.label == 'unconfigured', 'the last event')
    events.clear()
    peer.go_to('active')
    peer.go_to('unconfigured')
    goals = [event.goal_state.label for event in peer.wait_for(
        lambda: len(events) >= 8 and events, 'the events')]
    assert goals == ['configuring', 'inactive', 'activating', 'active', 'deactivating', 'inactive',
                     'cleaningup', 'unconfigured']


def possible(peer: Peer) -> set[int]:
    """Return the ids of the transitions that the node's state allows."""
    return {item.transition.id for item in peer.call(
        GetAvailableTransitions, 'get_available_transitions',
        GetAvailableTransitions.Request()).available_transitions}


@pytest.mark.parametrize('state', WAY_TO)
def test_a_transition_that_does_not_start_here_is_refused(peer: Peer, state: str) -> None:
    peer.go_to(state)
    for transition in set(range(256)) - possible(peer):
        assert not peer.change(transition)
    assert peer.state() == state
    if state == 'active':
        peer.street_camera('label')


def test_a_finalized_node_refuses_every_transition(peer_apart: Peer, model_file: Path,
                                                   tmp_path: Path) -> None:
    with running_node(tmp_path, model=str(model_file), autostart=False) as node:
        assert peer_apart.change(Transition.TRANSITION_UNCONFIGURED_SHUTDOWN)
        for transition in range(256):
            assert not peer_apart.change(transition)
        assert peer_apart.state() == 'finalized'
        assert not node.has_ended()


def test_transitions_leave_no_trace_of_an_error(peer: Peer, node: NodeProcess) -> None:
    for state in WAY_TO:
        peer.go_to(state)
    assert 'Traceback' not in node.log()
    assert 'Exception' not in node.log()
