# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Pictures of a camera's whole drive."""

from pathlib import Path

import cv2
import numpy as np
from segret_ros.labels.label_set import LabelSet
from segret_ros.offline.demo.frames import Frame
from segret_ros.offline.panels import film_panel, panels, Thumb
from segret_ros.offline.pictures import contact_sheet, encode, frame_panels, side_by_side

SHEET_FRAMES = 12
SHEET_COLUMNS = 4
PANEL_FRAMES = 4


class DrivePictures:
    """
    Writes an overlay of each frame that is added, and keeps what the report shows of some.

    :param folder: of the demo's output, with a folder `overlays`.
    :param camera: its name, for files and captions; empty for the only one.
    :param frames: how many will be added.
    :param labels: of the model.
    :ivar film: overlays from all over the drive.
    :ivar frames: some frames with their labels and, where known, true labels.
    """

    def __init__(self, folder: Path, camera: str, frames: int, labels: LabelSet) -> None:
        self.film: list[Thumb] = []
        self.frames: list[Thumb] = []
        self._folder = folder
        self._prefix = f'{camera.replace("/", "_")}_' if camera else ''
        self._camera = camera
        self._count = frames
        self._labels = labels
        self._added = 0
        self._first_stamp = 0
        self._overlays: list[tuple[str, np.ndarray]] = []

    def add(self, frame: Frame) -> None:
        """Picture the next frame."""
        self._first_stamp = self._first_stamp if self._added else frame.stamp
        seconds = f'{(frame.stamp - self._first_stamp) / 1e9:.2f} s'
        caption = ' · '.join(filter(None, [self._camera, seconds]))
        shown = frame_panels(frame.image_rgb, frame.label, frame.true_label, self._labels)
        self._write(f'overlays/{self._prefix}{self._added:04d}.jpg', shown['overlay'])
        if self._is_one_of(SHEET_FRAMES):
            self._overlays.append((seconds, self._of_one_size(shown['overlay'])))
            self.film.append(Thumb(caption, film_panel(frame.image_rgb, frame.label,
                                                       self._labels)))
        if self._is_one_of(PANEL_FRAMES):
            self._write(f'{self._prefix}frame_{self._added:04d}.png',
                        side_by_side(shown, self._labels))
            self.frames.append(Thumb(caption, panels(frame.image_rgb, frame.label,
                                                     frame.true_label, self._labels)))
        self._added += 1

    def write_contact_sheet(self) -> None:
        """Write one picture of the whole drive, if there is a frame."""
        if self._overlays:
            sheet = contact_sheet(self._overlays, self._labels, SHEET_COLUMNS)
            self._write(f'{self._prefix}contact_sheet.png', sheet)

    def _write(self, name: str, image_rgb: np.ndarray) -> None:
        (self._folder / name).write_bytes(encode(image_rgb, Path(name).suffix))

    def _is_one_of(self, wanted: int) -> bool:
        return self._added % -(-self._count // wanted) == 0

    def _of_one_size(self, overlay: np.ndarray) -> np.ndarray:
        """Return a picture in the size of the first, for a camera may change its own."""
        if not self._overlays or overlay.shape == self._overlays[0][1].shape:
            return overlay
        size = self._overlays[0][1].shape[1::-1]
        return cv2.resize(overlay, size, interpolation=cv2.INTER_AREA)
