# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Folders of images, without labels or with a folder for each class."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from segret_ros.images.image_file import ENDINGS, image_files, ImageError, read_image, shown
from segret_ros.labels.label_set import UNKNOWN
from segret_train.augmentation import augment
from segret_train.datasets import DataError
from segret_train.recipe import Recipe
import torch
from torch import Tensor
from torch.utils.data import Dataset


def find_images(folders: Sequence[Path]) -> list[Path]:
    """
    Give the images in folders and the folders within them, in order.

    :raises DataError: for a folder without one.
    """
    found = []
    for folder in folders:
        images = image_files(folder, recursive=True)
        if not images:
            raise DataError(f'{shown(folder)}: holds no image ({", ".join(ENDINGS)}): give a '
                            'folder that does')
        found += images
    return found


def find_classes(folders: Sequence[Path]) -> tuple[list[Path], list[int], list[str]]:
    """
    Give the images in folders of a folder a class, as CLASS/a.jpg or CLASS/images/a.jpg.

    :return: the images, the class of each, and the classes' names in order.
    :raises DataError: for a folder without images, images without a class, or a single class.
    """
    images, names = [], []
    for folder in folders:
        for path in find_images([folder]):
            inner = path.relative_to(folder).parts
            if len(inner) == 1:
                raise DataError(f'{shown(path)}: lies in no folder of a class: lay images out '
                                'as CLASS/IMAGE, or give --task distillation, which needs no '
                                'classes')
            images.append(path)
            names.append(inner[0])
    known = sorted(set(names))
    if len(known) < 2:
        raise DataError(f'{shown(folders[0])}: holds the class {known[0]} alone: give two '
                        'at least, as CLASS/IMAGE')
    place = {name: number for number, name in enumerate(known)}
    return images, [place[name] for name in names], known


class ImageViews(Dataset):
    """
    An endless stream of random views, each a function of the seed and its number alone.

    :param classes: of the images; 0 for each if left out.
    :param recipe: tells crop, scales and distortion, as of `augment`.
    """

    def __init__(self, images: list[Path], classes: list[int] | None, recipe: Recipe) -> None:
        self.images = images
        self.classes = classes or [0] * len(images)
        self.recipe = recipe

    def __getitem__(self, number: int) -> tuple[Tensor, int]:
        """Give view `number`: (H, W, 3) uint8 RGB, and its image's class."""
        epoch, position = divmod(number, len(self.images))
        order = np.random.default_rng((self.recipe.seed, epoch)).permutation(len(self.images))
        path = self.images[order[position]]
        try:
            image = read_image(path)
        except ImageError as error:
            raise DataError(str(error)) from error
        random = np.random.default_rng((self.recipe.seed, epoch, position))
        nothing = np.full(image.shape[:2], UNKNOWN, np.uint8)
        view, _ = augment(image, nothing, self.recipe, random)
        return torch.from_numpy(view), self.classes[order[position]]
