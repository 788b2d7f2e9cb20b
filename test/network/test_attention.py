# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""The ways to attend with decay, against each other: the same function in each."""

from collections.abc import Callable

import pytest
from segret_ros.network import attention
from segret_ros.network.attention import attention_over
from segret_ros.network.decay import ManhattanDecay
import torch
from torch import Tensor
from torch.nn import functional

HEADS = 2


@pytest.fixture
def decay() -> ManhattanDecay:
    """Return a decay of two heads."""
    return ManhattanDecay(HEADS, 4)


def cells(grid: tuple[int, int], **options) -> list[Tensor]:
    """Return queries, keys and values of two images, (2, H, W, heads, 16) each."""
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(2, *grid, HEADS, 16, generator=generator, **options).requires_grad_()
            for _ in range(3)]


def gradients(attend: Callable, *tensors: Tensor) -> tuple[Tensor, ...]:
    """Return the gradients of a sum of squares of what is attended."""
    return torch.autograd.grad(attend(*tensors).square().sum(), tensors)


@pytest.mark.parametrize('grid', [(5, 7), (1, 6), (6, 1)])
def test_a_large_grid_is_attended_from_each_row_alike(
        monkeypatch: pytest.MonkeyPatch, decay: ManhattanDecay, grid: tuple[int, int]) -> None:
    whole = attention_over(grid, decay, decomposed=False)
    monkeypatch.setattr(attention, 'LARGEST_BIAS', 0)
    by_rows = attention_over(grid, decay, decomposed=False)
    assert by_rows.func is not whole.func
    query_key_value = cells(grid)
    torch.testing.assert_close(by_rows(*query_key_value), whole(*query_key_value))
    torch.testing.assert_close(gradients(by_rows, *query_key_value),
                               gradients(whole, *query_key_value))


def test_the_gradient_from_each_row_is_the_difference_quotient(
        monkeypatch: pytest.MonkeyPatch, decay: ManhattanDecay) -> None:
    monkeypatch.setattr(attention, 'LARGEST_BIAS', 0)
    attend = attention_over((2, 3), decay.double(), decomposed=False)
    query_key_value = [tensor[:1, ..., :2].detach().requires_grad_()
                       for tensor in cells((2, 3), dtype=torch.float64)]
    assert torch.autograd.gradcheck(attend, query_key_value)


def test_only_a_large_grid_is_attended_from_each_row(decay: ManhattanDecay) -> None:
    tiny_stage_3 = ManhattanDecay(8, 6).to('meta')
    at_512x1024 = attention_over((32, 64), tiny_stage_3, decomposed=False)
    at_1024x2048 = attention_over((64, 128), tiny_stage_3, decomposed=False)
    assert at_512x1024.func is attention.attend_over_all_cells
    assert at_1024x2048.func is attention.attend_from_each_row


@pytest.mark.parametrize(('decomposed', 'largest_bias'), [(False, 1000), (True, 0), (False, 0)])
def test_mixed_precision_attends_with_a_decay_of_its_own_type(
        monkeypatch: pytest.MonkeyPatch, decay: ManhattanDecay, decomposed: bool,
        largest_bias: int) -> None:
    monkeypatch.setattr(attention, 'LARGEST_BIAS', largest_bias)
    kinds = []

    def watched(*query_key_value: Tensor, attn_mask: Tensor) -> Tensor:
        kinds.append(attn_mask.dtype)
        return functional.scaled_dot_product_attention(*query_key_value, attn_mask=attn_mask)

    monkeypatch.setattr(attention, 'scaled_dot_product_attention', watched)
    exact = attention_over((4, 6), decay, decomposed)(*cells((4, 6)))
    kinds.clear()
    with torch.autocast('cpu', torch.bfloat16):
        mixed = attention_over((4, 6), decay, decomposed)(
            *(tensor.bfloat16() for tensor in cells((4, 6))))
    assert set(kinds) == {mixed.dtype} == {torch.bfloat16}
    torch.testing.assert_close(mixed.float(), exact, atol=0.05, rtol=0.05)


@pytest.mark.skipif(not torch.cuda.is_available(), reason='needs an NVIDIA GPU')
@pytest.mark.parametrize('grid', [(4, 6), (30, 45), (64, 128)])
@pytest.mark.parametrize('decomposed', [False, True])
def test_a_gpu_attends_as_the_cpu(decay: ManhattanDecay, grid: tuple[int, int],
                                  decomposed: bool) -> None:
    query_key_value = [tensor.detach() for tensor in cells(grid)]
    expected = attention_over(grid, decay, decomposed)(*query_key_value)
    found = attention_over(grid, decay.cuda(), decomposed)(
        *(tensor.cuda() for tensor in query_key_value))
    torch.testing.assert_close(found.cpu(), expected, atol=1e-4, rtol=1e-4)
