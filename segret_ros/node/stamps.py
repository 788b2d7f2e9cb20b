# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""The stamps of a camera's images: how old they make an image, and whether they advance."""

from collections import deque

from std_msgs.msg import Header

NO_CLOCK = ('use_sim_time is set, but no /clock has come yet: play the bag with its clock '
            '(ros2 bag play --clock), or unset it')
WINDOW = 10  # newest images that are considered
MOST_STUCK = 2  # of them; a bag that starts again sets the stamps back once
PROBLEMS = {'zero': 'the stamps of its images are 0',
            'same': 'its images have the stamp of the image before',
            'back': 'the stamps of its images go back, as of two cameras on one topic'}


def stamp_ns(header: Header) -> int:
    """Return a header's stamp in ns."""
    return int(header.stamp.sec * 10**9 + header.stamp.nanosec)


def staleness(age_s: float, now_s: float, max_age_s: float) -> str:
    """
    Return why an image is not fresh, or nothing if it is.

    A stamp ahead of the clock is no better than an old one: the clocks differ, or time has jumped
    back, as it does when a bag is played in a loop.

    :param age_s: the node's clock less the image's stamp.
    :param now_s: the node's clock; 0 is a simulated one before its first message.
    :param max_age_s: images older than this, or ahead by more, are stale; 0: none are.
    """
    if not max_age_s:
        return ''
    if not now_s:
        return NO_CLOCK
    if age_s > max_age_s and age_s == now_s:
        return ('the stamp of the image is 0, so that its age is unknown, and max_age is '
                f'{max_age_s:g} s: let the driver stamp its images, or set max_age to 0')
    if age_s > max_age_s:
        return f'the image is {age_s:.3f} s old, and max_age is {max_age_s:g} s'
    if age_s < -max_age_s:
        return (f'the stamp is {-age_s:.3f} s ahead of the clock of the node, more than '
                f'max_age ({max_age_s:g} s): synchronise the clocks of camera and node, or give '
                'both simulated time')
    return ''


class StampCheck:
    """Checks whether the stamps of one camera advance, as all that pairs images by them needs."""

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
