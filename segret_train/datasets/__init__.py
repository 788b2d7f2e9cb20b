# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Data sets of labelled images, in their publishers' layouts or described by a YAML file."""

from segret_train.datasets.dataset import DataError, DataSet, Sample
from segret_train.datasets.ids import IGNORE
from segret_train.datasets.published import (
    HOLD_OUT_HELP,
    NAMES_HELP,
    open_data_set,
    PUBLISHED,
)

__all__ = ['DataError', 'DataSet', 'HOLD_OUT_HELP', 'IGNORE', 'NAMES_HELP', 'open_data_set',
           'PUBLISHED', 'Sample']
