# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Bags distributed over the workers of a real Ray cluster on this machine."""

from pathlib import Path

import pytest
from recordings import evaluate, first, metrics, TRUE_LABEL, write_bag

pytest.importorskip('ray', reason='needs Ray: pip install segret_ros[ray]')


def test_two_workers_write_the_bytes_of_one_process(tmp_path: Path) -> None:
    from ray.cluster_utils import Cluster
    bags = [write_bag(tmp_path / name, first(frames)) for name, frames in
            (('long', 6), ('short', 3), ('middle', 4))]
    (tmp_path / 'noise.mcap').write_bytes(b'noise' * 100)
    arguments = [*bags, tmp_path / 'noise.mcap', '--labels', TRUE_LABEL, '--device', 'cpu']
    alone, shared = tmp_path / 'alone', tmp_path / 'shared'
    assert 'noise' in evaluate(*arguments, '--output', alone, code=1)
    cluster = Cluster(initialize_head=True, head_node_args={'num_cpus': 1})
    try:
        cluster.add_node(num_cpus=1)
        assert 'noise' in evaluate(*arguments, '--output', shared, '--ray', cluster.address,
                                   code=1)
    finally:
        cluster.shutdown()
    assert [bag['frames'] for bag in metrics(shared)['bags']] == [6, 3, 4, 0]
    assert (alone / 'metrics.json').read_bytes() == (shared / 'metrics.json').read_bytes()
    assert (alone / 'result.mcap').stat().st_size > 0


def test_an_unreachable_cluster_is_reported(tmp_path: Path) -> None:
    bag = write_bag(tmp_path / 'drive', first(1))
    printed = evaluate(bag, '--ray', '127.0.0.1:1', '--output', tmp_path / 'out', code=1)
    assert 'no cluster answers' in printed
