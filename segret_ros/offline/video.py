# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Videos, read and written by OpenCV a frame at a time."""

from collections.abc import Iterator
import os
from pathlib import Path

os.environ.setdefault('OPENCV_FFMPEG_LOGLEVEL', '-8')  # quiet: our errors are one line each

import cv2  # noqa: E402
import numpy as np  # noqa: E402
from segret_ros.images.image_file import shown  # noqa: E402

SILENT = 0
# In Debian's and older wheels of OpenCV 4 a function of cv2, in newer ones of a submodule.
(cv2.setLogLevel if hasattr(cv2, 'setLogLevel') else cv2.utils.logging.setLogLevel)(SILENT)
# The reader that OpenCV falls back to prints warnings.
READER = (cv2.CAP_FFMPEG if cv2.CAP_FFMPEG in cv2.videoio_registry.getBackends()
          else cv2.CAP_ANY)
CODEC = 'mp4v'
DEFAULT_FPS = 30.0  # of a video without a frame rate


class VideoReader:
    """
    The frames of a video, in order.

    :raises ValueError: when OpenCV can't open it.
    """

    def __init__(self, path: Path) -> None:
        # By its descriptor: OpenCV rejects names that are not UTF-8, and interprets % and :.
        try:
            self._file = open(path, 'rb')
        except OSError as error:
            raise ValueError(f"it can't be read ({error.strerror})") from error
        self._capture = cv2.VideoCapture(f'/proc/self/fd/{self._file.fileno()}', READER)
        if not self._capture.isOpened():
            self.close()
            raise ValueError(f"OpenCV {cv2.__version__} can't open it: copy it again, or convert "
                             'it to an .mp4 of H.264')
        fps = self._capture.get(cv2.CAP_PROP_FPS)
        self.fps = fps if 0 < fps < float('inf') else DEFAULT_FPS
        self.announced = max(0, int(self._capture.get(cv2.CAP_PROP_FRAME_COUNT)))
        self._read = 0
        self._last_s = 0.0

    def frames(self, every: int = 1) -> Iterator[tuple[int, np.ndarray]]:
        """
        Yield number and image of the first of each `every` frames, (H, W, 3) uint8 RGB.

        :raises ValueError: when it ends before the announced time.
        """
        while self._capture.grab():
            self._last_s = self._capture.get(cv2.CAP_PROP_POS_MSEC) / 1e3
            if self._read % every == 0:
                sound, image_bgr = self._capture.retrieve()
                if not sound:
                    break
                yield self._read, cv2.cvtColor(image_bgr, cv2.COLOR_BGR2RGB)
            self._read += 1
        # Some containers only estimate the number of frames, and some have uneven times.
        if self._read == 0 or (self._read + 1 < self.announced
                               and self._last_s + 2 / self.fps < self.announced / self.fps):
            raise ValueError(f'it is damaged or cut: {self._read} of {self.announced} frames were '
                             'readable')

    def close(self) -> None:
        """Close the file."""
        self._capture.release()
        self._file.close()


class VideoWriter:
    """
    Writes an MP4 of the first frame's size.

    :param path: must not exist.
    """

    def __init__(self, path: Path, fps: float) -> None:
        self._path, self._fps = path, fps
        self._writer: cv2.VideoWriter | None = None
        self._size = (0, 0)
        self._written = 0

    def write(self, image_rgb: np.ndarray) -> None:
        """
        Append a frame, (H, W, 3) uint8 RGB.

        :raises ValueError: when OpenCV can't write such a video.
        """
        if self._writer is None:
            self._size = image_rgb.shape[1::-1]
            self._writer = self._open()
        if image_rgb.shape[1::-1] != self._size:
            image_rgb = cv2.resize(image_rgb, self._size, interpolation=cv2.INTER_AREA)
        self._writer.write(cv2.cvtColor(image_rgb, cv2.COLOR_RGB2BGR))
        self._written += 1

    def close(self) -> None:
        """
        Finish the file.

        :raises OSError: when it is incomplete, as on a full disk, which OpenCV does not report.
        """
        if self._writer is None:
            return
        self._writer.release()
        reader = VideoReader(self._path)
        whole = reader.announced == self._written
        reader.close()
        if not whole:
            raise OSError(f'{shown(self._path)}: OpenCV did not write all of it: make room')

    def _open(self) -> cv2.VideoWriter:
        """Return OpenCV's writer, through a path in UTF-8 whatever the folder's name is."""
        if self._path.exists():
            raise ValueError(f'{shown(self._path)} is the overlay of another video')
        folder = os.open(self._path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            partial = f'/proc/self/fd/{folder}/partial.mp4'
            writer = cv2.VideoWriter(partial, cv2.VideoWriter_fourcc(*CODEC), self._fps,
                                     self._size)
            if not writer.isOpened():
                raise ValueError(f"OpenCV {cv2.__version__} can't write an MP4 of "
                                 f'{self._size[1]} x {self._size[0]} pixels')
            os.replace(partial, self._path)
            return writer
        finally:
            os.close(folder)
