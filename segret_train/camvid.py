"""CamVid, 11 classes (Brostow, Fauqueur, Cipolla, Pattern Recognition Letters 2009)."""

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from segret_ros.label_set import UNKNOWN

UNLABELLED = 11  # id of the files' pixels without a class
LAYOUT = 'images/train/*.jpg, images/val/*.jpg and labels/SPLIT/*.png of the same names'


class DataError(ValueError):
    """A data set that is not laid out as it should be; names the offender and the layout."""


@dataclass(frozen=True)
class Sample:
    """One frame: its name and the paths of its image and label."""

    name: str
    image_path: Path
    label_path: Path

    def image(self) -> np.ndarray:
        """Give the image, (H, W, 3) uint8 RGB."""
        return cv2.cvtColor(_read(self.image_path, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)

    def label(self) -> np.ndarray:
        """Give the label, (H, W) uint8, 255 where there is no class."""
        label = _read(self.label_path, cv2.IMREAD_UNCHANGED)
        if label.ndim != 2 or label.max() > UNLABELLED:
            raise DataError(f'{self.label_path}: shape {label.shape}, largest id {label.max()}; a '
                            f'label is a grey PNG of ids 0..{UNLABELLED}')
        return np.where(label == UNLABELLED, UNKNOWN, label).astype(np.uint8)


def samples(root: str | Path, split: str) -> list[Sample]:
    """
    Give the frames of a split in order.

    :param root: the data set's folder.
    :param split: `train` or `val`.
    :raises DataError: when the folder or a label is missing.
    """
    images = sorted((Path(root) / 'images' / split).glob('*.jpg'))
    if not images:
        raise DataError(f'{root}: no images/{split}/*.jpg; CamVid is laid out as {LAYOUT}')
    found = [Sample(path.stem, path, Path(root) / 'labels' / split / f'{path.stem}.png')
             for path in images]
    missing = [sample.label_path for sample in found if not sample.label_path.is_file()]
    if missing:
        raise DataError(f'{missing[0]}: missing, as are {len(missing) - 1} other labels; '
                        f'CamVid is laid out as {LAYOUT}')
    return found


def _read(path: Path, flags: int) -> np.ndarray:
    image = cv2.imread(str(path), flags)
    if image is None:
        raise DataError(f'{path}: not a readable image; copy the data set again')
    return image
