# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Where the images and labels of a data set are, and which files are found there."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from segret_ros.images.image_file import ENDINGS, files_in, is_image

SPLITS = ('train', 'val')
SAME_ENDINGS = {'.jpeg': '.jpg', '.tiff': '.tif'}


class SplitFiles(NamedTuple):
    """A split's images and labels by name, pairs of files of one name, and unrelated files."""

    images: dict[str, Path]
    labels: dict[str, Path]
    doubles: list[tuple[Path, Path]]
    left_out: list[Path]


@dataclass(frozen=True)
class Layout:
    """
    Where images and labels are: paths of `{split}` and `{name}` below the data set's folder.

    Files may have other image extensions than these, in upper or lower case, unless images and
    labels share a folder.

    :param splits: folder names of `train` and `val`.
    :param example: a typical name in the data set; it may contain folders.
    :param beside: ending of names among the labels that are not labels.
    """

    images: str
    labels: str
    splits: Mapping[str, str] = field(default_factory=lambda: dict(zip(SPLITS, SPLITS)))
    example: str = 'NAME'
    beside: str | None = None

    def __str__(self) -> str:
        splits = '{' + ','.join(self.splits.values()) + '}'
        return ' and '.join(_filled(pattern, splits, self.example)
                            for pattern in (self.images, self.labels))

    def files(self, root: Path, split: str) -> SplitFiles:
        """Find the files in the places of a split's images and labels."""
        image, label = (_Pattern.of(_filled(pattern, self.splits[split], '{name}'))
                        for pattern in (self.images, self.labels))
        shared = image.folder.startswith(label.folder) or label.folder.startswith(image.folder)
        images, other_images, doubles = image.files(root, any_ending=not shared)
        labels, other_labels, double_labels = label.files(root, any_ending=not shared)
        if len(image.tail) < len(label.tail):  # the file belongs to the more specific pattern
            images = _without(images, labels)
        else:
            labels = _without(labels, images)
        beside = [name for name in labels if self.beside and name.endswith(self.beside)]
        other_labels += [labels.pop(name) for name in beside]
        found = {*images.values(), *labels.values()}
        left_out = {path for path in (*other_images, *other_labels) if path not in found}
        return SplitFiles(images, labels, doubles + double_labels, sorted(left_out))

    def image_path(self, split: str) -> str:
        """Return the pattern of a split's images, below the data set's folder."""
        return _filled(self.images, self.splits[split], '*')

    def label_path(self, root: Path, split: str, name: str) -> Path:
        """Return the path where the label of an image is expected."""
        return root / _filled(self.labels, self.splits[split], name)


class _Pattern(NamedTuple):
    """
    A pattern, split into its parts.

    :param folder: before the name, with its slash.
    :param tail: between the name and the extension.
    """

    folder: str
    tail: str
    ending: str

    @classmethod
    def of(cls, pattern: str) -> '_Pattern':
        folder, after = pattern.split('{name}')
        tail, dot, ending = after.rpartition('.')
        return cls(folder, tail, f'{dot}{ending}')

    def files(self, root: Path, any_ending: bool
              ) -> tuple[dict[str, Path], list[Path], list[tuple[Path, Path]]]:
        """Return the files by name, other files there, and pairs with the same name."""
        folder, endings = root / self.folder, self._endings(any_ending)
        found: dict[str, Path] = {}
        others, doubles = [], []
        for path in files_in(folder, recursive=True):
            stem = path.relative_to(folder).as_posix()[:-len(path.suffix) or None]
            name = stem.removesuffix(self.tail)
            if stem.endswith(self.tail) and name and is_image(path, endings):
                if name in found:
                    doubles.append((found[name], path))
                found.setdefault(name, path)
            else:
                others.append(path)
        return dict(sorted(found.items())), others, doubles

    def _endings(self, any_ending: bool) -> Collection[str]:
        if any_ending and self.ending.lower() in ENDINGS:
            return ENDINGS
        own = _main(self.ending)
        return {own, *(ending for ending in ENDINGS if _main(ending) == own)}


def _without(files: dict[str, Path], others: dict[str, Path]) -> dict[str, Path]:
    paths = set(others.values())
    return {name: path for name, path in files.items() if path not in paths}


def _main(ending: str) -> str:
    """Return the usual form of an extension."""
    return SAME_ENDINGS.get(ending.lower(), ending.lower())


def _filled(pattern: str, split: str, name: str) -> str:
    return pattern.replace('{split}', split).replace('{name}', name)
