# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""How old an image is, and whether that is too old."""

NO_CLOCK = ('use_sim_time is set, but no /clock has come yet: play the bag with its clock '
            '(ros2 bag play --clock), or unset it')


def staleness(age_s: float, now_s: float, max_age_s: float) -> str:
    """
    Give why an image is not fresh, or nothing if it is.

    A stamp ahead of the clock is no better than an old one: the clocks differ, or time has jumped
    back, as it does in a bag that is played in a loop.

    :param age_s: the node's clock less the image's stamp.
    :param now_s: the node's clock; 0 is a simulated one before its first message.
    :param max_age_s: more is too old, and so is a stamp ahead by more; 0: any age is right.
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
