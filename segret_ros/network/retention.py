"""
Manhattan self-attention with spatial decay: the retention of SegRet's backbone.

Source: Fan et al., RMT: Retentive Networks Meet Vision Transformers, CVPR 2024, section 3.
"""

import torch
from torch import nn, Tensor
from torch.nn import functional

DECAY_OFFSET = 2  # i of the decay log(1 - 2^(-i - r h / n)), the same in every variant and stage


class ManhattanDecay(nn.Module):
    """
    The bias that a stage's retention adds to its attention logits: decay times distance.

    :param heads: n.
    :param decay_range: r of the log decay of head h, log(1 - 2^(-i - r h / n)), negative.
    """

    def __init__(self, heads: int, decay_range: int) -> None:
        super().__init__()
        exponents = DECAY_OFFSET + decay_range * torch.arange(heads, dtype=torch.float64) / heads
        log_decay = torch.log1p(-torch.exp2(-exponents)).float()  # (heads,)
        self.register_buffer('log_decay', log_decay, persistent=False)

    def line(self, length: int) -> Tensor:
        """
        Give the bias between the cells of one row or column.

        :param length: cells of the line.
        :return: (heads, length, length), at most 0.
        """
        cells = torch.arange(length, device=self.log_decay.device)
        distance = (cells[:, None] - cells[None, :]).abs()  # (length, length)
        return self.log_decay[:, None, None] * distance

    def grid(self, height: int, width: int) -> Tensor:
        """
        Give the bias between all cells of a grid: the sum of its column's and its row's.

        :return: (heads, height * width, height * width), at most 0.
        """
        bias = (self.line(height)[:, :, None, :, None]
                + self.line(width)[:, None, :, None, :])  # (heads, H, W, H, W)
        return bias.flatten(3, 4).flatten(1, 2)  # (heads, H W, H W)


class DepthwiseConv2d(nn.Conv2d):
    """
    A depthwise convolution that keeps the size, on channels-last tensors.

    :param channels: C.
    :param kernel_size: odd.
    """

    def __init__(self, channels: int, kernel_size: int) -> None:
        super().__init__(channels, channels, kernel_size, padding=kernel_size // 2,
                         groups=channels)

    def forward(self, x: Tensor) -> Tensor:
        """
        Give the convolved cells.

        :param x: (B, H, W, C).
        :return: (B, H, W, C).
        """
        # The permuted tensor is what PyTorch calls memory_format=channels_last: nothing is copied.
        return super().forward(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)


class Retention(nn.Module):
    """
    Attention over cells with spatial decay, plus a local enhancement of the values.

    :param channels: C, divided by `heads`.
    :param heads: n.
    """

    def __init__(self, channels: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query = nn.Linear(channels, channels)
        self.key = nn.Linear(channels, channels)
        self.value = nn.Linear(channels, channels)
        self.local = DepthwiseConv2d(channels, kernel_size=5)
        self.output = nn.Linear(channels, channels)
        for linear in (self.query, self.key, self.value, self.output):
            nn.init.xavier_normal_(linear.weight, gain=1.0 if linear is self.output else 2 ** -2.5)
            nn.init.zeros_(linear.bias)

    def forward(self, x: Tensor, biases: tuple[Tensor, ...]) -> Tensor:
        """
        Give the attended cells.

        :param x: (B, H, W, C).
        :param biases: of `ManhattanDecay`: one over the grid for attention over all cells, or
            those of a row and of a column for attention along rows, then along columns.
        :return: (B, H, W, C).
        """
        query, key, value = self.query(x), self.key(x), self.value(x)
        heads = [tensor.unflatten(3, (self.heads, -1)) for tensor in (query, key, value)]
        attend = attend_over_all_cells if len(biases) == 1 else attend_along_rows_then_columns
        attended = attend(*heads, *biases).flatten(3)  # (B, H, W, C)
        return self.output(attended + self.local(value))


def attend_over_all_cells(query: Tensor, key: Tensor, value: Tensor, bias: Tensor) -> Tensor:
    """
    Attend from every cell to every cell.

    :param query, key, value: (B, H, W, heads, dim).
    :param bias: (heads, H W, H W).
    :return: (B, H, W, heads, dim).
    """
    height, width = query.shape[1:3]
    attended = functional.scaled_dot_product_attention(
        *(tensor.flatten(1, 2).transpose(1, 2) for tensor in (query, key, value)),
        attn_mask=bias[None])  # (B, heads, H W, dim)
    return attended.transpose(1, 2).unflatten(1, (height, width))


def attend_along_rows_then_columns(query: Tensor, key: Tensor, value: Tensor, row_bias: Tensor,
                                   column_bias: Tensor) -> Tensor:
    """
    Attend along each row; its result is the value of attention along each column.

    :param query, key, value: (B, H, W, heads, dim).
    :param row_bias: (heads, W, W).
    :param column_bias: (heads, H, H).
    :return: (B, H, W, heads, dim).
    """
    value = _attend_along_rows(query, key, value, row_bias)
    columns = (tensor.transpose(1, 2) for tensor in (query, key, value))  # (B, W, H, heads, dim)
    return _attend_along_rows(*columns, column_bias).transpose(1, 2)


def _attend_along_rows(query: Tensor, key: Tensor, value: Tensor, bias: Tensor) -> Tensor:
    batch, rows = query.shape[:2]
    attended = functional.scaled_dot_product_attention(
        *(tensor.flatten(0, 1).transpose(1, 2) for tensor in (query, key, value)),
        attn_mask=bias[None])  # (B H, heads, W, dim)
    return attended.transpose(1, 2).unflatten(0, (batch, rows))
