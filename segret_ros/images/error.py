# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""The error for messages and files that hold no usable image."""


class ImageError(ValueError):
    """
    A message or file that holds no usable image; the text says why.

    :param kind: the fault without numbers or places, so that frames can be counted by it.
    :param detail: what came, the rule and the way out; part of the text alone.
    :param place: the file or message, which the text begins with.
    """

    def __init__(self, kind: str, detail: str = '', place: str = '') -> None:
        super().__init__(': '.join(filter(None, (place, kind, detail))))
        self.kind = kind
