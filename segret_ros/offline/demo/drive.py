# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""A labelled drive: the frames of the demo's result bag, and their pictures."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from segret_ros.images.codec import decode_compressed, decode_image
from segret_ros.inference import ModelInfo
from segret_ros.labels.label_set import LabelSet
from segret_ros.node.parameters import Parameters
from segret_ros.offline.bags import Bag, open_bag, Recorded, serialized_stamp_ns
from segret_ros.offline.bags.cameras import CameraTopic, COMPRESSED_IMAGE
from segret_ros.offline.evaluation.notes import assumed_classes
from segret_ros.offline.evaluation.truth import open_truth, Truth
from segret_ros.offline.label_names import check_classes, names_of_topic
from segret_ros.offline.node_process import label_topic, node_topic
from segret_ros.offline.pictures import (
    contact_sheet,
    encode,
    film_panel,
    frame_panels,
    panels,
    side_by_side,
    Thumb,
)

SHEET_FRAMES = 12
SHEET_COLUMNS = 4
PANEL_FRAMES = 4


@dataclass(frozen=True)
class Frame:
    """
    An image with its labels.

    :param stamp: in ns.
    :param image_rgb: (H, W, 3) uint8.
    :param label: (H, W) uint8.
    :param true_label: (H, W) uint8, or None where the drive has no usable one.
    :param truth: how the true label was found, or why there is none; empty for a drive without.
    """

    stamp: int
    image_rgb: np.ndarray
    label: np.ndarray
    true_label: np.ndarray | None
    truth: str


def true_label_topic(camera: CameraTopic, topics: dict[str, str]) -> str | None:
    """Return the topic of a camera's true labels in a drive such as the sample drive, or None."""
    topic = node_topic(camera, 'label/compressed')
    return topic if topics.get(topic) == COMPRESSED_IMAGE else None


def open_true_labels(result: Path, cameras: list[CameraTopic], info: ModelInfo,
                     drive: Path) -> tuple[dict[str, Truth], list[str]]:
    """
    Return the true labels of the cameras that have any, and notes on them in sentences.

    :param result: the demo's bag.
    :param drive: that was played; it may name the classes of its labels.
    """
    found: dict[str, Truth] = {}
    notes: list[str] = []
    classes = info.labels.names
    with open_bag(drive) as bag:
        for camera in cameras:
            topic = true_label_topic(camera, bag.topics)
            if topic is None:
                continue
            try:
                names = names_of_topic(bag, drive, topic)
                check_classes(f'{drive}, {topic}', names, 'the model', classes)
                found[camera.topic] = open_truth(topic, result, [camera], classes)
                notes += [] if names else [assumed_classes(classes)]
            except ValueError as error:
                notes.append(f"The labels are not compared with the drive's: {error}.")
    return found, list(dict.fromkeys(notes))


def labelled_frames(bag: Bag, camera: CameraTopic, truth: Truth | None) -> Iterator[Frame]:
    """
    Yield a camera's images that have a label, in order of time; only one is in memory.

    :param bag: in which an image's label comes before the next image, as a player that waits for
        the labels records it.
    :param truth: the true labels of the bag; None without any.
    """
    label = label_topic(camera)
    decode = decode_compressed if camera.is_compressed else decode_image
    image: Recorded | None = None
    for recorded in bag.messages([topic for topic in (camera.topic, label)
                                  if topic in bag.topics]):
        if recorded.topic == camera.topic:
            image = recorded
            continue
        stamp = serialized_stamp_ns(recorded.data)
        if image is None or stamp is None or serialized_stamp_ns(image.data) != stamp:
            continue
        message = recorded.message()
        pixels = message.data.reshape(message.height, message.width)
        found = truth.cameras[camera.topic].find(
            stamp, image.time_ns, pixels.shape) if truth else None
        yield Frame(stamp, decode(image.message(), Parameters.max_pixels), pixels,
                    found.label if found else None, found.how if found else '')
        image = None


class DrivePictures:
    """
    Writes an overlay of each frame that is added, and keeps some frames for the report.

    :param folder: the demo's output, with a folder `overlays`.
    :param camera: its name, for files and captions; empty for a single camera.
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
        """Write and keep the pictures of the next frame."""
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
        """Write one picture of the whole drive, if it has a frame."""
        if self._overlays:
            sheet = contact_sheet(self._overlays, self._labels, SHEET_COLUMNS)
            self._write(f'{self._prefix}contact_sheet.png', sheet)

    def _write(self, name: str, image_rgb: np.ndarray) -> None:
        (self._folder / name).write_bytes(encode(image_rgb, Path(name).suffix))

    def _is_one_of(self, wanted: int) -> bool:
        return self._added % -(-self._count // wanted) == 0

    def _of_one_size(self, overlay: np.ndarray) -> np.ndarray:
        """Resize a picture to the first one's size: a camera may change its own."""
        if not self._overlays or overlay.shape == self._overlays[0][1].shape:
            return overlay
        size = self._overlays[0][1].shape[1::-1]
        return cv2.resize(overlay, size, interpolation=cv2.INTER_AREA)
