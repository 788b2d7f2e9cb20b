# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Check a whole data set: what is wrong, and how often each class occurs."""

from collections.abc import Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from segret_ros.images.image_file import shown
from segret_ros.labels.label_set import LabelSet
from segret_ros.text_table import text_table
from segret_train.datasets.dataset import (
    DataError,
    DataSet,
    IdError,
    Sample,
    SizeError,
    UnreadableError,
)
from segret_train.datasets.ids import IGNORE
from segret_train.datasets.layout import SPLITS
from tqdm import tqdm

KINDS = {UnreadableError: 'unreadable', SizeError: 'label of another size than its image',
         IdError: 'label with foreign ids or in another format',
         DataError: 'not in the expected layout'}
OFFENDERS_SHOWN = 3  # of each kind


@dataclass
class SplitCheck:
    """
    The result for a split.

    :param samples: number of images.
    :param pixels: of each id, (256,) int64; 255 is the ignore label.
    :param images: number of images whose label has the id, (256,) int64.
    """

    samples: int = 0
    pixels: np.ndarray = field(default_factory=lambda: np.zeros(IGNORE + 1, np.int64))
    images: np.ndarray = field(default_factory=lambda: np.zeros(IGNORE + 1, np.int64))
    errors: list[DataError] = field(default_factory=list)
    left_out: list[Path] = field(default_factory=list)


def check_data(data: DataSet) -> dict[str, SplitCheck]:
    """
    Read every image and label of a data set, and return the result for each split.

    :raises DataError: if no split is found.
    """
    checks = {split: check_split(data, split) for split in SPLITS}
    if not any(found.samples for found in checks.values()):
        raise checks[SPLITS[0]].errors[0]
    return checks


def check_split(data: DataSet, split: str) -> SplitCheck:
    """Read every image and label of a split."""
    samples, errors, left_out = data.split(split)
    found = SplitCheck(errors=errors, left_out=left_out)
    with ThreadPoolExecutor() as pool:
        for pixels, errors in tqdm(pool.map(examine, samples), split, len(samples), unit='image',
                                   disable=not samples):
            found.samples += 1
            found.pixels += pixels
            found.images += pixels > 0
            found.errors += errors
    return found


def examine(sample: Sample) -> tuple[np.ndarray, list[DataError]]:
    """Count the label's pixels of each id, (256,) int64, and collect the errors of both files."""
    errors = {}  # by text: both report an image without a size
    pixels = np.zeros(IGNORE + 1, np.int64)
    try:
        sample.image()
    except DataError as error:
        errors[str(error)] = error
    try:
        pixels = np.bincount(sample.label().ravel(), minlength=IGNORE + 1)
    except DataError as error:
        errors[str(error)] = error
    return pixels, list(errors.values())


def report(data: DataSet, checks: dict[str, SplitCheck]) -> str:
    """Format the results."""
    parts = ['\n'.join([f'{data.name}, {split}: {found.samples} images',
                        *_frequencies(data.labels, found), *_left_out(found.left_out),
                        *_errors(found.errors)])
             for split, found in checks.items()]
    return '\n\n'.join([*parts, *_doubts(data, checks.values())])


def _doubts(data: DataSet, checks: Collection[SplitCheck]) -> Iterator[str]:
    """Yield a hint if the labels look like those of another data set."""
    classes, samples = len(data.labels), sum(found.samples for found in checks)
    pixels = np.sum([found.pixels for found in checks], axis=0)
    absent = classes - np.count_nonzero(pixels[:classes])
    foreign = sum(isinstance(error, IdError) for found in checks for error in found.errors)
    signs = []
    if pixels.any() and absent > classes / 2:
        signs.append(f'{absent} of its {classes} classes never occur')
    if foreign > samples / 2:
        signs.append(f'{foreign} of {samples} labels have other ids')
    if signs:
        yield (f'is this {data.name}? {" and ".join(signs)}: name the data set, or the YAML file '
               'of your own, with --dataset')


def _left_out(paths: list[Path]) -> Iterator[str]:
    if paths:
        yield (f'left out: {len(paths)} files that are neither images nor labels, such as '
               f'{shown(paths[0])}')


def _frequencies(labels: LabelSet, found: SplitCheck) -> Iterator[str]:
    """Yield a line for each class: its share of the pixels, its pixels, the images with it."""
    if not found.pixels.any():
        return
    shares = found.pixels / found.pixels.sum()
    rows = [(name, f'{shares[id_]:.2%}', f'{found.pixels[id_]:,}', f'{found.images[id_]:,}')
            for id_, name in [*enumerate(labels.names), (IGNORE, 'no class')]]
    yield text_table(rows, ['', 'share', 'pixels', 'images'], ['left', *['right'] * 3])


def _errors(errors: list[DataError]) -> Iterator[str]:
    """Yield the count of each kind of error, and its first offenders."""
    if not errors:
        yield 'no errors'
    for kind, title in KINDS.items():
        offenders = [error for error in errors if type(error) is kind]
        if offenders:
            yield f'{len(offenders)} x {title}:'
            yield from (f'  {error}' for error in offenders[:OFFENDERS_SHOWN])
        if len(offenders) > OFFENDERS_SHOWN:
            yield f'  and {len(offenders) - OFFENDERS_SHOWN} more'
