# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
A small nano, and a command of `segret_train` with it.

`small_nano.py train` logs each step.
"""

from dataclasses import replace
from importlib import import_module
import sys

from segret_ros.network import SegRet, VARIANTS
import torch

SMALL = replace(VARIANTS['nano'], depths=(1, 1, 1, 1))  # a third of the blocks, of the same kinds


def spread_network(classes: int, size: tuple[int, int], spread: float) -> SegRet:
    """Return a nano with random weights; the logits of each class vary by `spread` at a size."""
    torch.manual_seed(0)
    network = SegRet('nano', classes).eval()
    classify = network.decoder.classify
    with torch.inference_mode():
        logits = network(torch.randn(1, 3, *size))[0].flatten(1)  # (classes, cells)
        scale = spread / logits.std(1)
        classify.weight *= scale[:, None, None, None]
        classify.bias -= logits.mean(1) * scale
    return network


if __name__ == '__main__':
    VARIANTS['nano'] = SMALL
    command = import_module(f'segret_train.{sys.argv.pop(1)}')
    if command.__name__ == 'segret_train.train':
        sys.modules['segret_train.training.training_run'].LOG_EVERY = 1
    sys.exit(command.main())
