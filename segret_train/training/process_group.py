# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""The processes that train together, as started by torchrun, or this one alone."""

from collections.abc import Sequence
import os
from typing import Any, TypeVar

import numpy as np
import torch
from torch import distributed, nn, Tensor
from torch.nn.parallel import DistributedDataParallel

Item = TypeVar('Item')


class ProcessGroup:
    """
    The process group that this process belongs to, of one process without torchrun.

    :param device: `auto`, `cpu` or `cuda`; with several processes on a host, each takes a GPU of
        its own.
    :raises ValueError: for a device that is missing.
    """

    def __init__(self, device: str = 'auto') -> None:
        if device == 'cuda' and not torch.cuda.is_available():
            raise ValueError('--device is cuda, but PyTorch finds no GPU: install its build for '
                             'your driver, or give --device cpu')
        self.device = torch.device('cpu')
        if device != 'cpu' and torch.cuda.is_available():
            self.device = torch.device('cuda', int(os.environ.get('LOCAL_RANK', 0)))
            torch.cuda.set_device(self.device)
        self.rank, self.size = 0, 1
        if 'TORCHELASTIC_RUN_ID' in os.environ:
            distributed.init_process_group('nccl' if self.device.type == 'cuda' else 'gloo')
            self.rank, self.size = distributed.get_rank(), distributed.get_world_size()

    @property
    def is_first(self) -> bool:
        """Return whether this process writes the run's files."""
        return self.rank == 0

    def autocasts(self, precision: str) -> bool:
        """Return whether a recipe's precision means bfloat16 here; CPUs are slower with it."""
        return (precision == 'auto' and self.device.type == 'cuda'
                and torch.cuda.is_bf16_supported())

    def distribute(self, network: nn.Module) -> nn.Module:
        """Wrap a network so that each backward pass averages gradients over all processes."""
        if self.size == 1:
            return network
        devices = [self.device] if self.device.type == 'cuda' else None
        return DistributedDataParallel(network, device_ids=devices)

    def share(self, items: Sequence[Item]) -> list[Item]:
        """Return this process's share of a sequence."""
        return list(items[self.rank::self.size])

    def sum_values(self, values: Tensor) -> Tensor:
        """Sum over all processes; the result is equal on each."""
        if self.size > 1:
            distributed.all_reduce(values)
        return values

    def any_process(self, condition: bool) -> bool:
        """Return whether a condition is true on any process."""
        if self.size == 1:
            return condition
        return bool(self.sum_values(torch.tensor(float(condition), device=self.device)))

    def sum_counts(self, counts: np.ndarray) -> np.ndarray:
        """Sum int64 counts over all processes, exactly."""
        return self.sum_values(torch.from_numpy(counts).to(self.device)).cpu().numpy()

    def merge(self, values: dict[str, Any]) -> dict[str, Any]:
        """Merge the dictionaries of all processes, sorted by key."""
        parts: list[Any] = [values]
        if self.size > 1:
            parts = [None] * self.size
            distributed.all_gather_object(parts, values)
        return dict(sorted(item for part in parts for item in part.items()))

    def align_buffers(self, network: nn.Module) -> None:
        """Copy the first process's running statistics to all others."""
        if self.size > 1:
            for buffer in network.buffers():
                distributed.broadcast(buffer, 0)

    def close(self) -> None:
        """Wait for the other processes and leave the group."""
        if self.size > 1:
            distributed.barrier()
            distributed.destroy_process_group()
