# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""A data set: its classes, and the labelled images of its splits."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import NamedTuple

import numpy as np
from segret_ros.images.image_file import image_size, ImageError, LabelError, read_image, shown
from segret_ros.labels.label_set import LabelSet
from segret_train.datasets.ids import ColorTable, IdTable
from segret_train.datasets.layout import Layout, SplitFiles

NAMES_SHOWN = 3  # of files that one error is about


class DataError(ValueError):
    """A malformed data set; names the first offender and the rule."""


class UnreadableError(DataError):
    """An image or label file that can't be read."""


class SizeError(DataError):
    """A label whose size differs from its image's."""


class IdError(DataError):
    """A label in another format, or with ids that the data set does not have."""


@dataclass(frozen=True)
class Sample:
    """
    One labelled image, read on demand.

    :param name: of the image within its split.
    :param ids: maps the values of the label's file to classes.
    """

    name: str
    image_path: Path
    label_path: Path
    ids: IdTable | ColorTable = field(repr=False)

    def image(self) -> np.ndarray:
        """
        Read the image, (H, W, 3) uint8 RGB.

        :raises UnreadableError: if the file is missing, corrupt or truncated.
        """
        try:
            return read_image(self.image_path)
        except ImageError as error:
            raise UnreadableError(str(error)) from error

    def label(self) -> np.ndarray:
        """
        Read the label, (H, W) uint8 class ids, 255 where there is no class.

        :raises UnreadableError: if one of the two files can't be read.
        :raises SizeError: if its size differs from the image's.
        :raises IdError: if it is in another format, or contains an id without a meaning.
        """
        try:
            label = self.ids.read(self.label_path)
            size = image_size(self.image_path)
        except LabelError as error:
            raise IdError(f'{error}; labels have {self.ids}') from error
        except ImageError as error:
            raise UnreadableError(str(error)) from error
        except ValueError as error:
            raise IdError(f'{shown(self.label_path)}: {error}') from error
        if label.shape != size:
            raise SizeError(
                f'{shown(self.label_path)}: {label.shape[0]} x {label.shape[1]}, but its image '
                f'{shown(self.image_path)} is {size[0]} x {size[1]}: a label has the height and '
                'width of its image')
        return label


class Split(NamedTuple):
    """A split's labelled images by name, what is wrong with other files, and unrelated files."""

    samples: list[Sample]
    errors: list[DataError]
    left_out: list[Path]


@dataclass(frozen=True)
class DataSet:
    """
    Labelled images of known classes.

    :param name: for display.
    :param labels: the classes.
    :param root: its folder.
    :param held_out: pattern of names of the train split's images, such as `0001TP*`: those are
        val then, the others train, and val's own images are not used.
    """

    name: str
    labels: LabelSet
    root: Path
    layout: Layout
    ids: IdTable | ColorTable
    held_out: str | None = None

    def samples(self, split: str) -> list[Sample]:
        """
        Return the labelled images of a split, ordered by name.

        :param split: `train` or `val`.
        :raises DataError: if the folder, an image or a label is missing, or one exists twice.
        """
        found = self.split(split)
        if found.errors:
            raise found.errors[0]
        return found.samples

    def title(self, split: str) -> str:
        """Return a name for a split's images."""
        if self.held_out is None:
            return f'{self.name} {split}'
        return f'{self.name} train {"without" if split == "train" else "of"} {self.held_out}'

    def split(self, split: str) -> Split:
        """Return the labelled images of a split, and what is wrong with the others."""
        folder = split if self.held_out is None else 'train'
        files = self.layout.files(self.root, folder)
        samples = [Sample(shown(Path(name)), path, files.labels[name], self.ids)
                   for name, path in files.images.items() if name in files.labels]
        errors = list(self._errors(files, folder))
        if self.held_out is not None:
            kept = [sample for sample in samples
                    if fnmatchcase(sample.name, self.held_out) == (split == 'val')]
            if samples and not kept:
                errors.append(DataError(
                    f'{shown(self.root)}: {"no" if split == "val" else "every"} image of train is '
                    f'named {self.held_out}, the pattern to hold out; the first is named '
                    f'{samples[0].name}'))
            samples = kept
        return Split(samples, errors, files.left_out)

    def _errors(self, files: SplitFiles, split: str) -> Iterator[DataError]:
        rule = f'{self.name} is laid out as {self.layout}'
        if not files.images:
            yield DataError(f'{shown(self.root)}: no {self.layout.image_path(split)}; {rule}')
            return
        missing = [name for name in files.images if name not in files.labels]
        if missing:
            path = self.layout.label_path(self.root, split, missing[0])
            others = f', as are {len(missing) - 1} other labels' if missing[1:] else ''
            yield DataError(f'{shown(path)}: missing{others}; {rule}')
        alone = [path for name, path in files.labels.items() if name not in files.images]
        if alone:
            yield DataError(f'{len(alone)} labels without an image: {_listed(alone)}; {rule}')
        for first, second in files.doubles:
            yield DataError(f'{shown(first)} and {shown(second)}: two files of one name; keep '
                            'only one')


def _listed(paths: Sequence[Path]) -> str:
    """Format the first paths, and how many more there are."""
    names = ', '.join(map(shown, paths[:NAMES_SHOWN]))
    more = len(paths) - NAMES_SHOWN
    return f'{names} and {more} more' if more > 0 else names
