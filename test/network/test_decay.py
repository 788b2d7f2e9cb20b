# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""The tables of the spatial decay: values, sizes in memory and when they are made."""

import math

import pytest
from segret_ros.network.decay import cached, ManhattanDecay
import torch

HEADS, DECAY_RANGE = 2, 4


@pytest.fixture
def decay() -> ManhattanDecay:
    """Return a decay of two heads; its tables are not made yet."""
    cached.cache_clear()
    return ManhattanDecay(HEADS, DECAY_RANGE)


def test_the_bias_of_a_line_grows_with_distance_and_shrinks_with_the_head(
        decay: ManhattanDecay) -> None:
    line = decay.line(4)
    assert line.shape == (HEADS, 4, 4)
    assert line[0, 0].tolist() == pytest.approx([n * math.log(0.75) for n in range(4)])
    assert line[1, 3, 0] == pytest.approx(3 * math.log(1 - 2 ** -4))


def test_the_bias_of_a_grid_adds_rows_and_columns(decay: ManhattanDecay) -> None:
    grid = decay.grid(2, 3)
    assert grid.shape == (HEADS, 6, 6)
    assert grid[0, 0, 5] == pytest.approx(3 * math.log(0.75))  # one row down, two columns right


@pytest.mark.parametrize(('height', 'width'), [(5, 3), (1, 4), (4, 1)])
def test_the_rows_are_the_grids_with_the_keys_bottom_up(decay: ManhattanDecay, height: int,
                                                        width: int) -> None:
    grid = decay.grid(height, width).unflatten(2, (height, width)).flip(2).flatten(2)
    for y, row in enumerate(decay.rows(height, width)):
        torch.testing.assert_close(row, grid[:, y * width:(y + 1) * width])


def test_the_rows_lie_in_memory_as_one_small_table(decay: ManhattanDecay) -> None:
    rows = decay.rows(32, 64)
    assert rows.shape == (32, HEADS, 64, 2048)
    in_memory = rows.untyped_storage().nbytes()
    assert in_memory == HEADS * 64 * (2 * 32 - 1) * 64 * 4
    assert in_memory < decay.grid(32, 64).nbytes / 16


def test_a_table_is_made_once_for_a_grid_and_dtype(decay: ManhattanDecay) -> None:
    assert decay.line(4) is decay.line(4)
    assert decay.line(4) is ManhattanDecay(HEADS, DECAY_RANGE).line(4)
    assert decay.line(5) is not decay.line(4)
    assert decay.double().line(4).dtype == torch.float64
    assert decay.to('meta').line(4).is_meta


def test_a_table_made_for_inference_serves_training(decay: ManhattanDecay) -> None:
    with torch.inference_mode():
        table = decay.grid(2, 2)
    logits = torch.zeros(HEADS, 4, 4, requires_grad=True)
    (logits * table).sum().backward()  # an inference tensor may not be kept for this
    torch.testing.assert_close(logits.grad, table)


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
def test_a_table_of_a_small_type_is_rounded_once(decay: ManhattanDecay,
                                                 dtype: torch.dtype) -> None:
    exact = decay.grid(9, 30)
    assert torch.equal(decay.to(dtype).grid(9, 30), exact.to(dtype))


def test_tracing_leaves_nothing_behind(decay: ManhattanDecay) -> None:
    class Line(torch.nn.Module):

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x + decay.line(3)

    program = torch.export.export(Line(), (torch.zeros(HEADS, 3, 3),))
    assert cached.cache_info().currsize == 0
    torch.testing.assert_close(program.module()(torch.zeros(HEADS, 3, 3)), decay.line(3))
