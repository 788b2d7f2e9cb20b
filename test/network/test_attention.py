"""The ways to attend with decay, against each other: the same function on every device."""

from collections.abc import Callable
from functools import partial
import logging
import shutil

import pytest
from segret_ros.network import attention, flex
from segret_ros.network.attention import attention_over
from segret_ros.network.decay import ManhattanDecay
import torch
from torch import Tensor

HEADS = 2


@pytest.fixture
def decay() -> ManhattanDecay:
    """Give a decay of two heads."""
    return ManhattanDecay(HEADS, 4)


def cells(grid: tuple[int, int], **options) -> list[Tensor]:
    """Give queries, keys and values of two images, (2, H, W, heads, 16) each."""
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(2, *grid, HEADS, 16, generator=generator, **options).requires_grad_()
            for _ in range(3)]


def gradients(attend: Callable, *tensors: Tensor) -> tuple[Tensor, ...]:
    """Give the gradients of a sum of squares of what is attended."""
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


@pytest.mark.parametrize('decomposed', [False, True])
def test_the_kernel_for_cuda_agrees_with_the_plain_one(
        monkeypatch: pytest.MonkeyPatch, decay: ManhattanDecay, decomposed: bool) -> None:
    grid = (4, 6)
    plain = attention_over(grid, decay, decomposed)
    monkeypatch.setattr(flex, 'compiled_flex_attention', lambda: flex.flex_attention)
    in_kernel = flex_attention_over(grid, decay, decomposed)
    query_key_value = [tensor.detach() for tensor in cells(grid)]  # no gradients on the CPU
    torch.testing.assert_close(in_kernel(*query_key_value), plain(*query_key_value))


@pytest.mark.skipif(shutil.which('g++') is None, reason='needs a C++ compiler')
def test_the_compiled_kernel_agrees_with_the_plain_one(decay: ManhattanDecay) -> None:
    grid = (4, 6)
    query_key_value = [tensor.detach() for tensor in cells(grid)]
    with torch.inference_mode():
        plain = attention_over(grid, decay, decomposed=False)(*query_key_value)
        compiled = flex_attention_over(grid, decay, decomposed=False)(*query_key_value)
    torch.testing.assert_close(compiled, plain)


def flex_attention_over(grid: tuple[int, int], decay: ManhattanDecay,
                        decomposed: bool) -> attention.Attention:
    """Give what `attention_over` gives for a CUDA device, made for the CPU."""
    on_cuda = attention.decayed_inside_the_kernel(grid, decay.log_decay, decomposed)
    assert isinstance(on_cuda, partial)
    return on_cuda


def test_an_old_cuda_device_falls_back_with_a_warning(
        monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr(torch.cuda, 'get_device_capability', lambda device: (6, 1))
    flex.runs_flex_attention.cache_clear()
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            assert not flex.runs_flex_attention(torch.device('cuda', 3))
    flex.runs_flex_attention.cache_clear()
    assert len(caplog.records) == 1
    assert 'cuda:3 has compute capability (6, 1)' in caplog.text
