# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""The estimates of docs/jetson.md, against hand counts and published rates."""

from device_speed import bound_ms, Device, DEVICES, EFFICIENCY, estimated_ms, traffic, Work
import pytest
from segret_ros.network.variants import Variant

ROUND = Device('round', processors=10, clock_ghz=1, float16_products=500, int8_products=None,
               bandwidth_gb=100)  # 10^13 a second in float16
BY_NAME = {device.name: device for device in DEVICES}


@pytest.mark.parametrize('name, precision, published', [  # without sparsity, 10^12 a second
    ('Jetson Orin Nano 8GB', 'int8', 33), ('Jetson AGX Orin 64GB', 'float32', 5.3),
    ('Jetson AGX Orin 64GB', 'int8', 85), ('Jetson Thor T5000', 'float16', 258.5),
    ('H100 SXM', 'float16', 989)])
def test_rates_are_the_published_ones(name: str, precision: str, published: float) -> None:
    assert BY_NAME[name].tera_operations(precision) == pytest.approx(published, rel=0.02)


def test_the_slower_of_computing_and_moving_counts() -> None:
    computing = Work(products=10**10, weights=10**6, activations=10**6, logits=0)
    assert bound_ms(ROUND, computing, 'float16') == pytest.approx(2.0)  # 2 x 10^10 at 10^13
    moving = Work(products=10**6, weights=10**8, activations=2 * 10**8, logits=10**8)
    assert bound_ms(ROUND, moving, 'float16') == pytest.approx(6.0)  # 6 x 10^8 bytes at 10^11
    assert estimated_ms(ROUND, moving, 'float16') == pytest.approx(8.0 / EFFICIENCY)


def test_an_unknown_rate_gives_no_time() -> None:
    task = Work(10**9, 1, 1, 1)
    assert bound_ms(ROUND, task, 'int8') is estimated_ms(ROUND, task, 'int8') is None


def test_traffic_of_a_network_counted_by_hand() -> None:
    variant = Variant(
        channels=(2, 2, 2, 2), depths=(1, 0, 0, 1), heads=(1, 1, 1, 2),
        decay_range=(4, 4, 4, 4), ffn_ratios=(3, 3, 3, 3), decomposed=(True, True, True, False),
        layer_scale=(False,) * 4, drop_path=0, decoder_channels=2)
    # 64 x 64: 16 x 16, 8 x 8, 4 x 4 and 2 x 2 cells.
    stem = 3 * 64 * 64 + 32 * 32 * 3 + 256 * 3 * 2
    blocks = 256 * 2 * 28 + 4 * 2 * 24
    downsampling = 2 * (256 + 64) + 2 * (64 + 16) + 2 * (16 + 4)
    levels = (256 + 64 + 16 + 4) * (2 + 3 * 2)
    resizing = (64 + 16 + 4) * 2 + 3 * 2 * 256 * 2
    logits = 4 * (256 * (16 + 16) + 2 * 4 * 4)
    assert traffic(variant, (64, 64), classes=5) == (
        stem + blocks + downsampling + levels + resizing + 256 * (2 + 5), logits)
