# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""The spatial decay of SegRet's retention, from one-dimensional tables (RMT, section 3.2)."""

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import torch
from torch import nn, Tensor

DECAY_OFFSET = 2  # i of the decay log(1 - 2^(-i - r h / n)), the same in every variant and stage
CACHED_TABLES = 32  # a network needs at most seven for an image size on one device


class ManhattanDecay(nn.Module):
    """
    The bias that a stage's retention adds to its attention logits: log decay times distance.

    :param heads: n.
    :param decay_range: r of the log decay of head h, log(1 - 2^(-i - r h / n)), negative.
    """

    log_decay: Tensor

    def __init__(self, heads: int, decay_range: int) -> None:
        super().__init__()
        self._kind = (heads, decay_range)
        self._captured: list[Tensor] = []
        self.register_buffer('log_decay', log_decay(heads, decay_range), persistent=False)

    def line(self, length: int) -> Tensor:
        """
        Return the bias between the cells of one row or column.

        :param length: cells of the line.
        :return: (heads, length, length), at most 0.
        """
        return self._table(line_bias, length)

    def grid(self, height: int, width: int) -> Tensor:
        """
        Return the bias between all cells of a grid: the sum of its column's and its row's.

        :return: (heads, height * width, height * width), at most 0.
        """
        return self._table(grid_bias, height, width)

    def rows(self, height: int, width: int) -> Tensor:
        """
        Return, for each row of a grid, the bias between its cells and all cells.

        The keys' rows come in reverse order, bottom up. So the bias of one row of queries is that
        of the row above it, shifted, and all are windows of one table: memory holds
        (heads, width, 2 height - 1, width), not cells by cells.

        :return: (height, heads, width, height * width), at most 0; a view that overlaps itself.
        """
        windows = self._table(shifted_rows_bias, height, width)  # (heads, W, (2 H - 1) W)
        return windows.unfold(2, height * width, width).permute(2, 0, 1, 3)

    def _table(self, make: Callable[..., Tensor], *size: int) -> Tensor:
        device, dtype = self.log_decay.device, type_of_queries(self.log_decay)
        if torch.compiler.is_compiling():  # what a tracer makes must not outlive it
            return make(*self._kind, *size, device, dtype)
        table = cached(make, *self._kind, *size, device, dtype)
        if device.type == 'cuda' and torch.cuda.is_current_stream_capturing():
            self._captured.append(table)  # the graph reads it even after the cache forgot it
        return table


def type_of_queries(like: Tensor) -> torch.dtype:
    """Return the type that attention computes in: that of some weights, or autocast's."""
    device = like.device.type
    if torch.amp.is_autocast_available(device) and torch.is_autocast_enabled(device):
        return torch.get_autocast_dtype(device)
    return like.dtype


@lru_cache(maxsize=CACHED_TABLES)
def cached(make: Callable[..., Tensor], *key: Any) -> Tensor:
    """Return a table, made once for each grid, device and dtype; its last step alone rounds."""
    *sizes, dtype = key
    with torch.inference_mode(False):  # so that training can use it too
        return make(*sizes, torch.promote_types(dtype, torch.float32)).to(dtype)


def log_decay(heads: int, decay_range: int, device: torch.device | None = None,
              dtype: torch.dtype = torch.float32) -> Tensor:
    """Return (heads,): log(1 - 2^(-i - r h / n)) of each head h of n, negative."""
    exponents = DECAY_OFFSET + decay_range * torch.arange(heads, dtype=torch.float64) / heads
    return torch.log1p(-torch.exp2(-exponents)).to(device, dtype)


def line_bias(heads: int, decay_range: int, length: int, device: torch.device,
              dtype: torch.dtype) -> Tensor:
    """Return (heads, length, length): see `ManhattanDecay.line`."""
    cells = torch.arange(length, device=device)
    distance = (cells[:, None] - cells[None, :]).abs()  # (length, length)
    return log_decay(heads, decay_range, device, dtype)[:, None, None] * distance


def grid_bias(heads: int, decay_range: int, height: int, width: int, device: torch.device,
              dtype: torch.dtype) -> Tensor:
    """Return (heads, H W, H W): see `ManhattanDecay.grid`."""
    column = line_bias(heads, decay_range, height, device, dtype)
    row = line_bias(heads, decay_range, width, device, dtype)
    bias = column[:, :, None, :, None] + row[:, None, :, None, :]  # (heads, H, W, H, W)
    return bias.flatten(3, 4).flatten(1, 2)


def shifted_rows_bias(heads: int, decay_range: int, height: int, width: int,
                      device: torch.device, dtype: torch.dtype) -> Tensor:
    """Return (heads, W, (2 H - 1) W): the bias of a row's cells, dy from H - 1 over 0 to H - 1."""
    rows = (torch.arange(2 * height - 1, device=device) - (height - 1)).abs()
    column = log_decay(heads, decay_range, device, dtype)[:, None] * rows  # (heads, 2 H - 1)
    row = line_bias(heads, decay_range, width, device, dtype)
    return (column[:, None, :, None] + row[:, :, None, :]).flatten(2)
