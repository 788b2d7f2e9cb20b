"""A data set: where its images and labels lie, and which class each id of its labels is."""

from collections.abc import Mapping
from dataclasses import dataclass, field
import os
from pathlib import Path

import cv2
import numpy as np
from PIL import Image
from segret_ros.label_set import LabelSet
from segret_train.datasets.ids import ColorTable, IdTable

SPLITS = ('train', 'val')
EXIF_ORIENTATION = 0x0112
SIDEWAYS = range(5, 9)  # the orientations that swap height and width
# What Pillow raises for damaged files, found by damaging every byte of some.
DAMAGES = (OSError, SyntaxError, ValueError, Image.DecompressionBombError)


class DataError(ValueError):
    """A data set that is not as it should be; names the first offender and the rule."""


class UnreadableError(DataError):
    """An image or label file that can't be read."""


class SizeError(DataError):
    """A label that has not the size of its image."""


class IdError(DataError):
    """A label of another kind, or with ids that the data set does not have."""


@dataclass(frozen=True)
class Sample:
    """
    One labelled image, read whenever it is asked for.

    :param name: of the image within its split.
    :param ids: what the numbers in the label's file mean.
    """

    name: str
    image_path: Path
    label_path: Path
    ids: IdTable | ColorTable = field(repr=False)

    def image(self) -> np.ndarray:
        """
        Give the image, (H, W, 3) uint8 RGB.

        :raises UnreadableError: when the file is none.
        """
        image = cv2.imread(str(self.image_path), cv2.IMREAD_COLOR)
        if image is None:
            raise _unreadable(self.image_path)
        return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)

    def refuse_half_an_image(self) -> None:
        """
        Decode the image to its last byte; where those are missing `image` fills up with grey.

        :raises UnreadableError: when the file is cut or damaged.
        """
        try:
            with Image.open(self.image_path) as file:
                file.load()
        except DAMAGES as error:
            raise _unreadable(self.image_path) from error

    def label(self) -> np.ndarray:
        """
        Give the label, (H, W) uint8 class ids, 255 where there is no class.

        :raises UnreadableError: when the file is none.
        :raises SizeError: when it has not the image's size.
        :raises IdError: when it is of another kind, or holds an id that means nothing.
        """
        try:
            with Image.open(self.label_path) as file:
                raw = np.asarray(file)
        except DAMAGES as error:
            raise _unreadable(self.label_path) from error
        try:
            label = self.ids.classes(raw)
        except ValueError as error:
            raise IdError(f'{self.label_path}: {error}') from error
        size = self._image_size()
        if label.shape != size:
            raise SizeError(f'{self.label_path}: {label.shape[0]} x {label.shape[1]}, but its '
                            f'image {self.image_path} is {size[0]} x {size[1]}: a label has the '
                            'height and width of its image')
        return label

    def _image_size(self) -> tuple[int, int]:
        """Give the image's (height, width) from the head of its file alone."""
        try:
            with Image.open(self.image_path) as file:
                sideways = file.getexif().get(EXIF_ORIENTATION) in SIDEWAYS
                return file.size if sideways else file.size[::-1]
        except DAMAGES as error:
            raise _unreadable(self.image_path) from error


@dataclass(frozen=True)
class Layout:
    """
    Where images and labels lie, as paths of `{split}` and `{name}` below the data set's folder.

    :param splits: the folder's name of `train` and of `val`.
    :param example: a name as the data set has them; it may contain folders.
    """

    images: str
    labels: str
    splits: Mapping[str, str] = field(default_factory=lambda: dict(zip(SPLITS, SPLITS)))
    example: str = 'NAME'

    def __str__(self) -> str:
        splits = '{' + ','.join(self.splits.values()) + '}'
        return ' and '.join(_filled(pattern, splits, self.example)
                            for pattern in (self.images, self.labels))

    def image_paths(self, root: Path, split: str) -> dict[str, Path]:
        """Give the images of a split by name, in the order of the names."""
        return _find(root, self.images, self.splits[split])

    def label_paths(self, root: Path, split: str) -> dict[str, Path]:
        """Give the labels of a split by name."""
        return _find(root, self.labels, self.splits[split])

    def label_path(self, root: Path, split: str, name: str) -> Path:
        """Give where the label of an image belongs."""
        return root / _filled(self.labels, self.splits[split], name)


@dataclass(frozen=True)
class DataSet:
    """
    Labelled images of known classes.

    :param name: as people write it.
    :param labels: the classes.
    :param root: the folder that holds it.
    """

    name: str
    labels: LabelSet
    root: Path
    layout: Layout
    ids: IdTable | ColorTable

    def samples(self, split: str) -> list[Sample]:
        """
        Give the labelled images of a split, in the order of their names.

        :param split: `train` or `val`.
        :raises DataError: when the folder or a label is missing.
        """
        images = self.layout.image_paths(self.root, split)
        if not images:
            wanted = _filled(self.layout.images, self.layout.splits[split], '*')
            raise DataError(f'{self.root}: no {wanted}; {self.name} is laid out as {self.layout}')
        labels = self.layout.label_paths(self.root, split)
        missing = [name for name in images if name not in labels]
        if missing:
            path = self.layout.label_path(self.root, split, missing[0])
            raise DataError(f'{path}: missing, as are {len(missing) - 1} other labels; '
                            f'{self.name} is laid out as {self.layout}')
        return [Sample(name, path, labels[name], self.ids) for name, path in images.items()]


def _find(root: Path, pattern: str, split: str) -> dict[str, Path]:
    """Give the files of a pattern by their part that is `{name}`, sorted by it."""
    before, after = _filled(pattern, split, '{name}').split('{name}')
    folder = root / before
    found = {}
    for parent, _, files in os.walk(folder, followlinks=True):
        for file in files:
            if file.endswith(after) and not file.startswith('.'):
                path = Path(parent, file)
                found[path.relative_to(folder).as_posix().removesuffix(after)] = path
    return dict(sorted(found.items()))


def _filled(pattern: str, split: str, name: str) -> str:
    return pattern.replace('{split}', split).replace('{name}', name)


def _unreadable(path: Path) -> UnreadableError:
    return UnreadableError(f'{path}: not a readable image; copy the data set again')
