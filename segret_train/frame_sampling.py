# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Evenly spaced frames of a bag or of a folder of images."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from segret_ros.files.share import share_directory
from segret_ros.images.image_file import image_files, ImageError, read_image
from segret_ros.offline.bags import BagError, open_bag
from segret_ros.offline.bags.cameras import bag_cameras
from segret_ros.offline.evaluation.frames import decode, read_messages, Span

SAMPLE_DRIVE = share_directory() / 'data' / 'sample_drive'


class FramesError(ValueError):
    """A bag or folder without usable images; the message names it."""


def sample_frames(source: Path, count: int) -> Iterator[np.ndarray]:
    """
    Yield evenly spaced images of a source, always the same ones.

    :param source: folder of images, else a bag, whose cameras take turns.
    :param count: the most images, plus one for each further camera.
    :return: (H, W, 3) uint8 RGB, at least one.
    :raises FramesError: for a source without images or cameras, or a folder with a corrupt image.
    :raises BagError: for a bag whose messages can't be read.
    """
    images = image_files(source)
    found = 0
    for image in (map(_read, images[::_period(len(images), count)]) if images
                  else _of_bag(source, count)):
        found += 1
        yield image
    if not found:
        raise FramesError(f'{source}: none of its images can be read')


def _of_bag(path: Path, count: int) -> Iterator[np.ndarray]:
    """Yield images of a bag, except those that can't be decoded."""
    try:
        bag = open_bag(path)
    except BagError as error:
        raise FramesError(f'{path}: is neither a folder of images nor a bag '
                          f'({error}): give the folder of the images, or a bag') from error
    with bag:
        try:
            cameras = bag_cameras(bag, [])
        except BagError as error:
            raise FramesError(f'{path}: {error}; give a bag with a camera, or a folder of images'
                              ) from error
        messages = sum(1 for _ in bag.messages([camera.topic for camera in cameras]))
        for recorded in read_messages(bag, cameras, Span(every=_period(messages, count)), skip=0):
            image = decode(recorded).image_rgb
            if image is not None:
                yield image


def _period(number: int, count: int) -> int:
    """Return the step that takes at most `count` of some items."""
    return max(1, -(-number // count))


def _read(path: Path) -> np.ndarray:
    try:
        return read_image(path)
    except ImageError as error:
        raise FramesError(f'{error}, or remove it') from error
