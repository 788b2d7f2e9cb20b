# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
Attention with spatial decay over a grid of cells: PyTorch's fused one, the decay as its bias.

Every function takes queries, keys and values of (B, H, W, heads, dim) and returns the attended
cells, (B, H, W, heads, dim).
"""

from collections.abc import Callable
from functools import partial

from segret_ros.network.decay import ManhattanDecay
import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

LARGEST_BIAS = 2 ** 26  # numbers; Tiny's stage 3 at 512x1024 has half of that

Attention = Callable[[Tensor, Tensor, Tensor], Tensor]


def attention_over(grid: tuple[int, int], decay: ManhattanDecay, decomposed: bool) -> Attention:
    """
    Return the attention for a grid of cells, on the device of its decay.

    A small bias is held for all pairs of cells, which is fastest; where that would be large, it is
    read through a window of a small table.

    :param grid: (height, width).
    :param decomposed: along rows, then along columns, instead of over all cells.
    """
    height, width = grid
    if decomposed:
        return partial(attend_along_rows_then_columns, row_kernel=biased(decay.line(width)),
                       column_kernel=biased(decay.line(height)))
    if len(decay.log_decay) * (height * width) ** 2 > LARGEST_BIAS:
        return partial(attend_from_each_row, bias=decay.rows(height, width))
    return partial(attend_over_all_cells, kernel=biased(decay.grid(height, width)))


def biased(bias: Tensor) -> Attention:
    """
    Return PyTorch's fused attention with a bias on the logits.

    :param bias: (heads, cells, cells).
    :return: takes and returns (B, heads, cells, dim).
    """
    return partial(scaled_dot_product_attention, attn_mask=bias[None])


def attend_over_all_cells(query: Tensor, key: Tensor, value: Tensor,
                          kernel: Attention) -> Tensor:
    """Attend from every cell to every cell; the kernel knows the decay."""
    cells = (tensor.flatten(1, 2).transpose(1, 2) for tensor in (query, key, value))
    attended = kernel(*cells)  # (B, heads, H W, dim)
    return attended.transpose(1, 2).unflatten(1, query.shape[1:3])


def attend_from_each_row(query: Tensor, key: Tensor, value: Tensor, bias: Tensor) -> Tensor:
    """
    Attend from every cell to every cell, a row of queries at a time.

    :param bias: (H, heads, W, H W) of `ManhattanDecay.rows`.
    """
    height = query.shape[1]
    key, value = (tensor.flip(1).flatten(1, 2).transpose(1, 2) for tensor in (key, value))
    attended = [
        scaled_dot_product_attention(
            rows.transpose(1, 2),  # (H, heads, W, dim): a row is an item of the batch
            keys.expand(height, -1, -1, -1), values.expand(height, -1, -1, -1), attn_mask=bias)
        for rows, keys, values in zip(query, key, value)]  # (H, heads, W, dim) each
    return torch.stack(attended).transpose(2, 3)


def attend_along_rows_then_columns(query: Tensor, key: Tensor, value: Tensor,
                                   row_kernel: Attention, column_kernel: Attention) -> Tensor:
    """Attend along each row; its result is the value of attention along each column."""
    value = _attend_along_rows(query, key, value, row_kernel)
    query, key, value = (cells.transpose(1, 2) for cells in (query, key, value))
    return _attend_along_rows(query, key, value, column_kernel).transpose(1, 2)


def _attend_along_rows(query: Tensor, key: Tensor, value: Tensor, kernel: Attention) -> Tensor:
    batch, rows = query.shape[:2]
    cells = (tensor.flatten(0, 1).transpose(1, 2) for tensor in (query, key, value))
    attended = kernel(*cells)  # (B H, heads, W, dim)
    return attended.transpose(1, 2).unflatten(0, (batch, rows))
