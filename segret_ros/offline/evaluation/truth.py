# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""True labels of a recorded drive, matched to its frames."""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
import re
from reprlib import repr as short_repr

import numpy as np
from segret_ros.images.codec import decode_image
from segret_ros.images.error import ImageError
from segret_ros.images.image_file import decode_label, image_files, read_label
from segret_ros.labels.label_set import UNKNOWN
from segret_ros.offline.bags import Damage, open_bag, Recorded
from segret_ros.offline.bags.cameras import CameraTopic, COMPRESSED_IMAGE, IMAGE
from segret_ros.offline.evaluation.matching import LATEST_NS, match, Moments, read_moments
from segret_ros.offline.evaluation.output import EvaluationError
from segret_ros.offline.label_names import check_classes, names_of_folder, names_of_topic

STAMP = re.compile(r'(?:^|_)(\d+)$')  # at the end of a label file's name
LABEL_ENCODINGS = ('mono8', '8UC1')
KEPT = 8  # labels that were read last: frames and labels need not be in quite the same order
UNMATCHED = 'none'


@dataclass(frozen=True)
class Found:
    """
    The true label of a frame.

    :param label: (H, W) uint8 class ids and 255; None where there is none to score against.
    :param how: it was matched; without a label `UNMATCHED`, or why the frame is not scored.
    :param fault: of an unusable label, with its place, in a sentence.
    """

    label: np.ndarray | None
    how: str
    fault: str = ''


class CameraTruth:
    """
    The true labels of one camera.

    :param read: returns a label by its place, (H, W) uint8.
    :param name: returns what a label is called, by its place.
    """

    def __init__(self, frames: Moments, labels: Moments, read: Callable[[int], np.ndarray],
                 name: Callable[[int], str], num_classes: int) -> None:
        self.frames, self.labels = frames, labels
        self._read, self._name = read, name
        self._num_classes = num_classes

    def find(self, stamp_ns: int, time_ns: int, size: tuple[int, int]) -> Found:
        """
        Return the label of a frame.

        :param stamp_ns, time_ns: of the frame, and when it was recorded.
        :param size: (height, width) of its image.
        """
        place, how = match(self.frames, self.labels, stamp_ns, time_ns)
        if place < 0:
            return Found(None, how or UNMATCHED)
        try:
            return Found(self._usable(place, size), how)
        except ImageError as error:
            name, text = self._name(place), str(error)
            return Found(None, error.kind, text if text.startswith(name) else f'{name}: {text}')

    def nearest(self, stamp_ns: int, tolerance_ns: int | None = None) -> np.ndarray | None:
        """
        Return the label of the only frame that has a stamp; with a tolerance the nearest label.

        :return: (H, W) uint8 class ids and 255; None where there is none to score against.
        """
        if tolerance_ns is None:
            frame = self.frames.only(stamp_ns)
            if frame < 0:
                return None
            place, _ = match(self.frames, self.labels, stamp_ns, int(self.frames.time_ns[frame]))
        else:
            place = self.labels.nearest(stamp_ns, stamp_ns, tolerance_ns)
        try:
            return None if place < 0 else self._usable(place, None)
        except ImageError:
            return None

    def _usable(self, place: int, size: tuple[int, int] | None) -> np.ndarray:
        """Return a label; raise an ImageError for one that can't be scored against."""
        label = self._read(place)
        if size is not None and label.shape != size:
            raise ImageError('a label of another size than its frame', '{} x {} pixels for '
                             '{} x {}'.format(*label.shape, *size))
        beyond = label[(label >= self._num_classes) & (label != UNKNOWN)]
        if len(beyond):
            raise ImageError("a label with ids beyond the model's classes", f'it holds id '
                             f'{beyond[0]}, the model has {self._num_classes} classes; '
                             f'{UNKNOWN} is no class')
        return label


@dataclass(frozen=True)
class Truth:
    """
    The true labels of a drive.

    :param named: whether the labels come with class names; else the model's are assumed.
    """

    cameras: dict[str, CameraTruth]
    damage: list[Damage]
    named: bool

    def counts(self) -> dict[str, int]:
        """Return how many labels there are of each camera."""
        return {topic: len(camera.labels) for topic, camera in self.cameras.items()}

    def oddities(self) -> dict[str, dict[str, dict[str, int]]]:
        """Return what is odd about the stamps, of each camera where anything is."""
        found = {topic: {'images': camera.frames.oddities(), 'labels': camera.labels.oddities()}
                 for topic, camera in self.cameras.items()}
        return {topic: odd for topic, odd in found.items() if any(odd.values())}


def open_truth(source: str, bag: Path, cameras: list[CameraTopic],
               classes: Sequence[str]) -> Truth:
    """
    Return the true labels of a bag's cameras; the bag is read once for their stamps.

    :param source: a topic of the bag (with several cameras: the end that each camera's has, as
        `label` of `/front/label` and `/rear/label`), or a folder of images named by stamps in
        ns, `1700000000000000000.png` (with several cameras: in a folder of each camera's name).
    :raises ValueError: when neither is there, or for labels of other classes.
    """
    with open_bag(bag) as reader:
        frames = read_moments(reader, [camera.topic for camera in cameras])
        if Path(source).is_dir():
            return _of_folders(Path(source), cameras, frames, classes)
        source = reader.renamed.get(source, source)
        topics = {camera.topic: _topic_of(source, camera, cameras, reader.topics)
                  for camera in cameras}
        names = {topic: names_of_topic(reader, bag, topic) for topic in topics.values()}
        for topic, found in names.items():
            check_classes(f'{bag}, {topic}', found, 'the model', classes)
        labels = read_moments(reader, topics.values())
        damage = reader.damage
    return Truth({camera: _of_topic(bag, topic, frames[camera], labels[topic], len(classes))
                  for camera, topic in topics.items()}, damage, None not in names.values())


def _of_folders(source: Path, cameras: list[CameraTopic], frames: dict[str, Moments],
                classes: Sequence[str]) -> Truth:
    folders = {camera.topic: _folder_of(source, camera, cameras) for camera in cameras}
    names = {folder: names_of_folder(folder) or names_of_folder(source)
             for folder in folders.values()}
    for folder, found in names.items():
        check_classes(str(folder), found, 'the model', classes)
    return Truth({camera: _of_folder(folder, frames[camera], len(classes))
                  for camera, folder in folders.items()}, [], None not in names.values())


def _folder_of(source: Path, camera: CameraTopic, cameras: list[CameraTopic]) -> Path:
    if len(cameras) == 1:
        return source
    folder = source / camera.name
    if not folder.is_dir():
        raise EvaluationError(f'{source}: no folder {camera.name!r} with the labels of '
                              f'{camera.topic}; with several cameras each has its own')
    return folder


def _of_folder(folder: Path, frames: Moments, num_classes: int) -> CameraTruth:
    files = image_files(folder)
    found = {path: STAMP.search(path.stem) for path in files}
    stamps = sorted((int(name[1]), path) for path, name in found.items()
                    if name and len(name[1]) <= len(str(LATEST_NS)))
    if not stamps:
        raise EvaluationError(f'{folder}: no labels; name them by the stamps of their frames in '
                              'ns, such as 1700000000000000000.png')
    paths = [path for _, path in stamps]
    labels = Moments(np.array([min(stamp, LATEST_NS) for stamp, _ in stamps], np.int64), None)
    return CameraTruth(frames, labels, lambda place: read_label(paths[place]),
                       lambda place: str(paths[place]), num_classes)


def _topic_of(source: str, camera: CameraTopic, cameras: list[CameraTopic],
              topics: dict[str, str]) -> str:
    candidates = [source] if source.startswith('/') and len(cameras) == 1 else [
        f'/{camera.name}/{source.strip("/")}', source]
    topic = next((name for name in candidates if topics.get(name) in (IMAGE, COMPRESSED_IMAGE)),
                 None)
    if topic is None:
        known = ', '.join(sorted(name for name, kind in topics.items()
                                 if kind in (IMAGE, COMPRESSED_IMAGE))) or 'no image topic'
        raise EvaluationError(f'--labels {source}: neither a folder nor a topic of images in the '
                              f'bag, which has {known}')
    return topic


def _of_topic(bag: Path, topic: str, frames: Moments, labels: Moments,
              num_classes: int) -> CameraTruth:
    return CameraTruth(frames, labels, TopicLabels(bag, topic, labels.time_ns),
                       lambda place: f'{topic} at {labels.time_ns[place]} ns', num_classes)


class TopicLabels:
    """
    Reads the labels of a topic; quick where they are asked for about in their order.

    :param time_ns: (labels,) int64, when each was recorded, in the order of `Bag.messages`.
    """

    def __init__(self, bag: Path, topic: str, time_ns: np.ndarray) -> None:
        self._bag, self._topic = bag, topic
        self._time_ns = time_ns
        self._coming: Iterator[tuple[int, Recorded]] = iter(())
        self._next = len(time_ns)
        self._last: deque[tuple[int, Recorded]] = deque(maxlen=KEPT)

    def __call__(self, place: int) -> np.ndarray:
        """
        Return a label, (H, W) uint8.

        :raises ImageError: for one that is no image of class ids.
        """
        known = next((recorded for number, recorded in self._last if number == place), None)
        return label_of(self._read(place) if known is None else known)

    def _read(self, place: int) -> Recorded:
        if place < self._next:
            self._coming = self._from(int(self._time_ns[place]))
        for number, recorded in self._coming:
            self._next = number + 1
            self._last.append((number, recorded))
            if number == place and recorded.time_ns == self._time_ns[place]:
                return recorded
        raise ImageError('a label that can be read only sometimes', self._topic)

    def _from(self, start_ns: int) -> Iterator[tuple[int, Recorded]]:
        """Yield the messages from a time on, with their places."""
        with open_bag(self._bag) as reader:
            yield from zip(np.flatnonzero(self._time_ns >= start_ns).tolist(),
                           reader.messages([self._topic], start_ns))


def label_of(recorded: Recorded) -> np.ndarray:
    """
    Return a recorded label, (H, W) uint8.

    :raises ImageError: for one that is no image of class ids.
    """
    place = f'{recorded.topic} at {recorded.time_ns} ns'
    try:
        message = recorded.message()
    except ValueError as error:
        raise ImageError(f'no message of {recorded.type_name}', str(error)) from error
    if recorded.type_name == COMPRESSED_IMAGE:
        return decode_label(bytes(message.data), place)
    if recorded.type_name != IMAGE:
        raise ImageError(f'a message of {recorded.type_name}')
    if message.encoding not in LABEL_ENCODINGS:
        raise ImageError(f'a label of encoding {short_repr(message.encoding)}',
                         'mono8 holds class ids')
    message.encoding = 'mono8'
    return np.array(decode_image(message, message.width * message.height)[..., 0])
