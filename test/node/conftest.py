# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Fixtures of the node's tests: a peer to talk from."""

from collections.abc import Iterator
import os
from pathlib import Path

from node_process import Diagnostics, Peer
import pytest
from segret_ros.inference import Segmenter


@pytest.fixture(scope='module')
def peer() -> Iterator[Peer]:
    """Yield the tests' own node."""
    peer = Peer()
    yield peer
    peer.close()


@pytest.fixture
def peer_apart(monkeypatch: pytest.MonkeyPatch) -> Iterator[Peer]:
    """Yield a peer in a domain of its own, where no other node is or was."""
    monkeypatch.setenv('ROS_DOMAIN_ID', str(int(os.environ['ROS_DOMAIN_ID']) + 100))
    peer = Peer()
    yield peer
    peer.close()


@pytest.fixture(scope='module')
def diagnostics(peer: Peer) -> Diagnostics:
    """Return what the node publishes on /diagnostics."""
    return Diagnostics(peer)


@pytest.fixture(scope='session')
def segmenter(model_file: Path) -> Segmenter:
    """Return a Segmenter of the library, to compare with."""
    return Segmenter(model_file)
