# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Which photos and videos some paths name, and what their outputs are called."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
import os
from pathlib import Path, PurePath

from segret_ros.images.image_file import ENDINGS, files_in, is_image

VIDEO_ENDINGS = ('.avi', '.mkv', '.mov', '.mp4')
KNOWN_ENDINGS = ' '.join((*ENDINGS, *VIDEO_ENDINGS))


@dataclass(frozen=True)
class Source:
    """
    A photo or a video.

    :param name: of its outputs, a path without the ending of a photo.
    """

    path: Path
    name: PurePath


def files_of(path: Path) -> tuple[list[Path], int]:
    """
    Return the photos and videos that a path names, and how many other files it holds.

    :param path: a file, or a folder, which is searched recursively.
    :raises ValueError: for a path that names none; says what would.
    """
    if path.is_dir():
        found = files_in(path, recursive=True)
        files = [file for file in found if is_image(file) or is_video(file)]
        if not files:
            raise ValueError(f'it holds none of {KNOWN_ENDINGS}')
        return files, len(found) - len(files)
    if not os.path.lexists(path):
        raise ValueError('there is no such file or folder')
    if not path.is_file():
        raise ValueError('it is neither a file nor a folder')
    if path.suffix.lower() not in ENDINGS + VIDEO_ENDINGS:
        raise ValueError(f'its name ends in none of {KNOWN_ENDINGS}')
    return [path], 0


def named(files: Iterable[Path]) -> list[Source]:
    """
    Name each file by the shortest end of its path that distinguishes all of them.

    :param files: one that occurs twice counts once.
    """
    by_path: dict[Path, Path] = {}
    for file in files:
        by_path.setdefault(Path(os.path.abspath(file)), file)
    stems = Counter(path.with_suffix('') for path in by_path if not is_video(path))
    names = [path if is_video(path) or stems[path.with_suffix('')] > 1 else path.with_suffix('')
             for path in by_path]
    for length in range(1, max((len(name.parts) for name in names), default=0)):
        ends = [PurePath(*name.parts[-length:]) for name in names]
        if len({str(end).lower() for end in ends}) == len(ends):  # for disks without case
            break
    else:
        ends = [name.relative_to(name.anchor) for name in names]
    return [Source(path, name) for path, name in zip(by_path.values(), ends)]


def is_video(path: Path) -> bool:
    """Return whether a path counts as a video, by its name."""
    return path.suffix.lower() in VIDEO_ENDINGS and not path.name.startswith('.')
