"""Pictures of a camera's whole drive."""

from pathlib import Path

import cv2
import numpy as np
from segret_ros.demo.frames import Frame
from segret_ros.label_set import LabelSet
from segret_ros.reporting.pictures import contact_sheet, encode, frame_panels, side_by_side

SHEET_FRAMES = 12
SHEET_COLUMNS = 4
PANEL_FRAMES = 4


class DrivePictures:
    """
    Writes an overlay of each frame that is added, and of some keeps what the report shows.

    :param folder: of the demo's output, with a folder `overlays`.
    :param prefix: of the files' names.
    :param frames: how many will be added.
    :param labels: of the model.
    """

    def __init__(self, folder: Path, prefix: str, frames: int, labels: LabelSet) -> None:
        self._folder = folder
        self._prefix = prefix
        self._frames = frames
        self._labels = labels
        self._added = 0
        self._first_stamp = 0
        self._overlays: dict[str, np.ndarray] = {}
        self._comparisons: dict[str, bytes] = {}

    def add(self, frame: Frame) -> None:
        """Picture the next frame."""
        self._first_stamp = self._first_stamp if self._added else frame.stamp
        name = f'{self._prefix}{self._added:04d}.jpg'
        panels = frame_panels(frame.image_rgb, frame.label, frame.true_label, self._labels)
        (self._folder / 'overlays' / name).write_bytes(encode(panels['overlay'], '.jpg'))
        if self._is_one_of(SHEET_FRAMES):
            caption = f'{(frame.stamp - self._first_stamp) / 1e9:.2f} s'
            self._overlays[caption] = self._of_one_size(panels['overlay'])
        if self._is_one_of(PANEL_FRAMES):
            self._comparisons[f'{self._prefix}frame_{self._added:04d}.png'] = encode(
                side_by_side(panels, self._labels), '.png')
        self._added += 1

    def write(self) -> dict[str, bytes]:
        """Write the contact sheet and the comparisons; give the files by name."""
        if not self._overlays:
            return {}
        sheet = contact_sheet(self._overlays, self._labels, SHEET_COLUMNS)
        files = {f'{self._prefix}contact_sheet.png': encode(sheet, '.png'), **self._comparisons}
        for name, content in files.items():
            (self._folder / name).write_bytes(content)
        return files

    def _is_one_of(self, wanted: int) -> bool:
        return self._added % -(-self._frames // wanted) == 0

    def _of_one_size(self, overlay: np.ndarray) -> np.ndarray:
        """Give a picture in the size of the first, for a camera may change its own."""
        first = next(iter(self._overlays.values()), overlay)
        if overlay.shape == first.shape:
            return overlay
        return cv2.resize(overlay, first.shape[1::-1], interpolation=cv2.INTER_AREA)
