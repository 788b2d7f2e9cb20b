# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""The SegRet network in PyTorch and its checkpoints."""

from segret_ros.network.checkpoint import (
    CheckpointError,
    load_backbone,
    load_checkpoint,
    save_backbone,
    save_checkpoint,
)
from segret_ros.network.segret import MEAN, SegRet, STD
from segret_ros.network.variants import VARIANTS

__all__ = ['CheckpointError', 'load_backbone', 'load_checkpoint', 'MEAN', 'save_backbone',
           'save_checkpoint', 'SegRet', 'STD', 'VARIANTS']
