# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Transitions that fail: the reason is told, what was half done is undone, and all goes on."""

from collections.abc import Iterator
from pathlib import Path
import re

from lifecycle_msgs.msg import TransitionEvent
from live_node import Diagnostics, Inbox, NodeProcess, Peer, running_node
import pytest

BROKEN = str(Path(__file__).with_name('broken_node.py'))


@pytest.fixture
def events(peer: Peer) -> Iterator[Inbox]:
    """Return the states that the node goes through."""
    inbox = peer.listen(TransitionEvent, '/segret/transition_event')
    yield inbox
    peer.close_inbox(inbox)


def goals(events: Inbox) -> list[str]:
    """Return the states that were gone to."""
    return [event.goal_state.label for event in events]


def errors(node: NodeProcess) -> list[str]:
    """Return the errors in the log."""
    return [line.partition(' [segret]: ')[2] for line in node.lines('[ERROR]')]


def test_an_error_in_activation_is_reported_and_undone(
        peer: Peer, model_file: Path, tmp_path: Path, events: Inbox) -> None:
    diagnostics = Diagnostics(peer)
    # A process has one type for a topic, so the second of these subscriptions can't be made.
    with running_node(tmp_path, remap=('camera_info:=/image',), model=str(model_file),
                      device='cpu', autostart=False) as node:
        peer.wait_for(lambda: events.subscription.get_publisher_count() == 1, 'the announcer')
        assert peer.change('configure')
        assert not peer.change('activate')
        peer.wait_for(lambda: len(events) >= 5, 'the events')
        assert goals(events) == ['configuring', 'inactive', 'activating', 'errorprocessing',
                                 'unconfigured']
        assert peer.state() == 'unconfigured'
        line, = errors(node)
        assert line.startswith('not activated: ')
        assert re.search('incompatible type|create.subscription', line)
        assert '.c:' not in line and '.cpp:' not in line  # no places in ROS 2's sources
        status = diagnostics.newest('node')
        assert (status.level, status.message) == (status.ERROR, line)
        peer.wait_for_topics(0, 0)
        assert node.threads() > 0 and 'Traceback' not in node.log()
        assert peer.change('configure')  # as often as wanted
        assert diagnostics.newest('node').message == 'not activated'


def test_an_error_in_configuration_leaves_no_topics(peer: Peer, model_file: Path,
                                                    tmp_path: Path) -> None:
    with running_node(tmp_path, remap=('segmentation/status:=/segmentation/label',),
                      model=str(model_file), device='cpu') as node:
        line, = peer.wait_for(lambda: errors(node), 'the error')
        assert line.startswith('not configured: ')
        assert peer.state() == 'unconfigured'
        peer.wait_for_topics(0, 0)


@pytest.mark.parametrize('transition, failed', [
    ('activate', 'not activated'), ('deactivate', 'not deactivated'),
    ('cleanup', 'not cleaned up')])
def test_any_transition_that_raises_is_reported_and_can_be_made_again(
        peer: Peer, model_file: Path, tmp_path: Path, transition: str, failed: str) -> None:
    way = {'activate': ('configure',), 'deactivate': ('configure', 'activate'),
           'cleanup': ('configure',)}[transition]
    broken = tmp_path / 'broken'
    broken.write_text('')
    diagnostics = Diagnostics(peer)
    with running_node(tmp_path, (BROKEN, str(broken)), model=str(model_file), device='cpu',
                      autostart=False) as node:
        assert peer.change(*way)
        broken.write_text(transition)
        assert not peer.change(transition)
        assert peer.state() == 'unconfigured'
        assert errors(node) == [f'{failed}: {transition} is broken']
        assert diagnostics.newest('node').message == f'{failed}: {transition} is broken'
        peer.wait_for_topics(0, 0)
        assert peer.change('configure', 'activate')
        peer.street_camera('label')
        assert diagnostics.newest('node').message == 'active'


def test_an_error_while_an_error_is_undone_finalizes_the_node(
        peer: Peer, model_file: Path, tmp_path: Path, events: Inbox) -> None:
    broken = tmp_path / 'broken'
    broken.write_text('')
    with running_node(tmp_path, (BROKEN, str(broken)), model=str(model_file), device='cpu',
                      autostart=False) as node:
        peer.wait_for(lambda: events.subscription.get_publisher_count() == 1, 'the announcer')
        assert peer.change('configure')
        broken.write_text('activate release')
        assert not peer.change('activate')
        peer.wait_for(lambda: len(events) >= 5, 'the events')
        assert goals(events)[-2:] == ['errorprocessing', 'finalized']
        assert errors(node) == ['not activated: activate is broken',
                                'ended by an error: release is broken']
        node.interrupt()
        assert node.wait() == 0
        assert 'Traceback' not in node.log()
