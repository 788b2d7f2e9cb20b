# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Data sets: labelled images laid out as their publishers lay them out, or as one's own."""

from segret_train.datasets.dataset import DataError, DataSet, Sample
from segret_train.datasets.published import NAMES_HELP, open_data_set, PUBLISHED

__all__ = ['DataError', 'DataSet', 'NAMES_HELP', 'open_data_set', 'PUBLISHED', 'Sample']
