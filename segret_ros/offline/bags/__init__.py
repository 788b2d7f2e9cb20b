# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Recorded drives of any kind, damaged ones too, read and written without a ROS installation."""

from segret_ros.offline.bags.bag import Bag, open_bag, read_bag
from segret_ros.offline.bags.message_types import BagError, TYPESTORE
from segret_ros.offline.bags.recorded import (
    decode_label,
    Recorded,
    serialize,
    serialized_stamp_ns,
    stamp_ns,
)
from segret_ros.offline.bags.storage import Damage, printable
from segret_ros.offline.bags.writer import BagWriter

__all__ = ['Bag', 'BagError', 'BagWriter', 'Damage', 'decode_label', 'open_bag', 'printable',
           'read_bag', 'Recorded', 'serialize', 'serialized_stamp_ns', 'stamp_ns',
           'TYPESTORE']
