# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Fixtures of the node's tests: a node, and a peer to talk from."""

from collections.abc import Iterator
import os
from pathlib import Path

from live_node import Diagnostics, NodeProcess, Peer, running_node
import pytest
from segret_ros.inference import Segmenter


@pytest.fixture(scope='module')
def node(request: pytest.FixtureRequest, model_file: Path,
         tmp_path_factory: pytest.TempPathFactory) -> Iterator[NodeProcess]:
    """Run a node for all tests of a module, with its `PARAMETERS`."""
    parameters = getattr(request.module, 'PARAMETERS', {})
    with running_node(tmp_path_factory.mktemp('node'), model=str(model_file),
                      **parameters) as node:
        yield node


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
