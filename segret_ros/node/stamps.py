# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Whether the stamps of a camera's images advance, as whoever pairs images and labels needs."""

from collections import deque

WINDOW = 10  # images that are looked back upon
MOST_STUCK = 2  # of them; a bag that begins anew sets the stamps back once
PROBLEMS = {'zero': 'the stamps of its images are 0',
            'same': 'its images have the stamp of the image before',
            'back': 'the stamps of its images go back, as of two cameras on one topic'}


class StampCheck:
    """The check of one camera's stamps."""

    def __init__(self) -> None:
        self._last_ns = -1
        self._stuck: deque[str] = deque(maxlen=WINDOW)

    def __call__(self, stamp_ns: int) -> str:
        """Return what is wrong with the stamps up to that of the newest image, or nothing."""
        if not stamp_ns:
            self._stuck.append('zero')
        elif stamp_ns <= self._last_ns:
            self._stuck.append('same' if stamp_ns == self._last_ns else 'back')
        else:
            self._stuck.append('')
        self._last_ns = stamp_ns
        stuck = list(filter(None, self._stuck))
        if len(stuck) <= MOST_STUCK:
            return ''
        return (f'{PROBLEMS[stuck[-1]]}, so that max_age and all that pairs images with labels by '
                'their stamps go wrong: let the driver stamp each image with the time of its '
                'capture')
