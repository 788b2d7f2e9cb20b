# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Retention against the formula of the paper, cell by cell."""

import math

import pytest
from segret_ros.network.attention import attention_over
from segret_ros.network.decay import ManhattanDecay
from segret_ros.network.retention import Retention
import torch
from torch import Tensor
from torch.nn import functional

CHANNELS, HEADS, DECAY_RANGE = 8, 2, 4
GRIDS = [(3, 5), (4, 2), (1, 1)]


def attend(query: Tensor, keys: list[Tensor], values: list[Tensor],
           distances: list[int], log_decay: float) -> Tensor:
    """Return the values of some cells, weighted by the softmax of the decayed logits."""
    logits = [float(query @ key) / math.sqrt(len(query)) + log_decay * distance
              for key, distance in zip(keys, distances)]
    total = sum(map(math.exp, logits))
    return sum(math.exp(logit) / total * value for logit, value in zip(logits, values))


def naive_head(query: Tensor, key: Tensor, value: Tensor, log_decay: float,
               decomposed: bool) -> Tensor:
    """Return one head's attention, (H, W, dim), in loops over the cells."""
    height, width = query.shape[:2]
    cells = [(y, x) for y in range(height) for x in range(width)]

    def attend_to(y: int, x: int, others: list[tuple[int, int]], values: Tensor) -> Tensor:
        return attend(query[y, x], [key[cell] for cell in others],
                      [values[cell] for cell in others],
                      [abs(y - other_y) + abs(x - other_x) for other_y, other_x in others],
                      log_decay)

    result = torch.zeros_like(value)
    if not decomposed:
        for y, x in cells:
            result[y, x] = attend_to(y, x, cells, value)
        return result
    rows = torch.zeros_like(value)
    for y, x in cells:
        rows[y, x] = attend_to(y, x, [(y, other) for other in range(width)], value)
    for y, x in cells:
        result[y, x] = attend_to(y, x, [(other, x) for other in range(height)], rows)
    return result


@pytest.mark.parametrize('decomposed', [False, True])
@pytest.mark.parametrize('grid', GRIDS)
def test_retention_is_the_formula(grid: tuple[int, int], decomposed: bool) -> None:
    torch.manual_seed(0)
    retention = Retention(CHANNELS, HEADS).double()
    for parameter in retention.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    x = torch.randn(*grid, CHANNELS, dtype=torch.float64)
    with torch.inference_mode():
        decay = ManhattanDecay(HEADS, DECAY_RANGE).double()
        found = retention(x[None], attention_over(grid, decay, decomposed))[0]

        query, key, value = retention.query(x), retention.key(x), retention.value(x)
        attended = []
        for head, part in enumerate(torch.arange(CHANNELS).chunk(HEADS)):
            log_decay = math.log(1 - 2 ** (-2 - DECAY_RANGE * head / HEADS))
            attended.append(naive_head(query[..., part], key[..., part], value[..., part],
                                       log_decay, decomposed))
        local = functional.conv2d(value.permute(2, 0, 1)[None], retention.local.weight,
                                  retention.local.bias, padding=2, groups=CHANNELS)
        expected = retention.output(torch.cat(attended, dim=-1) + local[0].permute(1, 2, 0))
    torch.testing.assert_close(found, expected, atol=1e-12, rtol=0)


@pytest.mark.parametrize('decomposed', [False, True])
def test_gradient_is_the_difference_quotient(decomposed: bool) -> None:
    torch.manual_seed(0)
    retention = Retention(4, HEADS).double()
    attend = attention_over((2, 3), ManhattanDecay(HEADS, DECAY_RANGE).double(), decomposed)
    x = torch.randn(1, 2, 3, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda cells: retention(cells, attend), (x,))
