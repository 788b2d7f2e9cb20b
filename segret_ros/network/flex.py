"""Attention whose decay is computed inside the kernel: PyTorch's FlexAttention on CUDA."""

from functools import lru_cache
import logging

import torch
from torch import Tensor
from torch.nn.attention.flex_attention import flex_attention

logger = logging.getLogger(__name__)

SMALLEST_CAPABILITY = (7, 0)  # of a CUDA device that Triton compiles for
COMPILED_KERNELS = 64  # a network has seven grids for an image size, with and without gradients


@lru_cache
def runs_flex_attention(device: torch.device) -> bool:
    """Tell whether a CUDA device has FlexAttention; if not, a warning says why, once."""
    capability = torch.cuda.get_device_capability(device)
    if capability < SMALLEST_CAPABILITY:
        logger.warning('%s has compute capability %s, FlexAttention needs %s: attention takes its '
                       'decay as a bias, with more memory', device, capability,
                       SMALLEST_CAPABILITY)
        return False
    try:
        import triton  # noqa: F401
    except ImportError:
        logger.warning('FlexAttention needs triton, which is not installed: attention on %s takes '
                       'its decay as a bias, with more memory', device)
        return False
    return True


def decayed_flex_attention(query: Tensor, key: Tensor, value: Tensor, log_decay: Tensor,
                           width: int) -> Tensor:
    """
    Attend over a grid of cells with Manhattan decay; a line is a grid of width 1.

    :param query, key, value: (B, heads, cells, dim), row by row.
    :param log_decay: (heads,), negative.
    :param width: of the grid.
    :return: (B, heads, cells, dim).
    """
    score_mod = decay_score(log_decay, width)
    if torch.compiler.is_compiling():
        return flex_attention(query, key, value, score_mod=score_mod)
    with torch._dynamo.config.patch(recompile_limit=COMPILED_KERNELS):
        return compiled_flex_attention()(query, key, value, score_mod=score_mod)


@lru_cache
def compiled_flex_attention():
    """Give FlexAttention as a fused kernel; uncompiled, it would hold every logit in memory."""
    return torch.compile(flex_attention, dynamic=False)


def decay_score(log_decay: Tensor, width: int):
    """Give what FlexAttention adds to a logit: the log decay times the Manhattan distance."""
    def score_mod(score: Tensor, batch: Tensor, head: Tensor, query: Tensor,
                  key: Tensor) -> Tensor:
        rows = (query // width - key // width).abs()
        columns = (query % width - key % width).abs()
        return score + log_decay[head] * (rows + columns)
    return score_mod
