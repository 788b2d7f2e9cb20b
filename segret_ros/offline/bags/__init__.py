# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Bags of every format, damaged ones too, read and written without a ROS installation."""

from segret_ros.errors import printable
from segret_ros.offline.bags.bag import Bag, open_bag, read_bag
from segret_ros.offline.bags.messages import (
    BagWriter,
    decode_label,
    Recorded,
    serialize,
    serialized_stamp_ns,
    stamp_ns,
    TYPESTORE,
)
from segret_ros.offline.bags.storage import BagError, Damage

__all__ = ['Bag', 'BagError', 'BagWriter', 'Damage', 'decode_label', 'open_bag', 'printable',
           'read_bag', 'Recorded', 'serialize', 'serialized_stamp_ns', 'stamp_ns',
           'TYPESTORE']
