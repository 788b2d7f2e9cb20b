"""True labels of a recorded drive, matched to its frames by their stamps."""

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
import re

import cv2
import numpy as np
from segret_ros.bags import open_bag, Recorded, stamp_ns
from segret_ros.bags.cameras import CameraTopic, COMPRESSED_IMAGE, IMAGE
from segret_ros.evaluation.errors import EvaluationError
from segret_ros.image_codec import decode_image, ImageError

TOLERANCE_NS = 10_000_000  # how far the stamps of a frame and of its label may lie apart
DISORDER_NS = 1_000_000_000  # frames and labels this late in the recording still find each other
STAMP = re.compile(r'(?:^|_)(\d+)$')  # at the end of a label file's name

Label = Callable[[], np.ndarray]  # decodes a label: (H, W) uint8


@dataclass
class _Labelled:
    stamp_ns: int
    label: Label
    matched: bool = False


class CameraTruth:
    """
    The true labels of one camera; frames are asked for about in order of their stamps.

    Labels are read as far as the frames have come, so that memory does not grow with the drive.

    :param labels: stamps in ns, about in order, with what decodes each label.
    """

    def __init__(self, labels: Iterator[tuple[int, Label]]) -> None:
        self._labels = labels
        self._near: deque[_Labelled] = deque()
        self._read_to_ns = -1
        self._count = 0
        self.matched = 0  # labels that were the nearest of a frame so far

    def nearest(self, wanted_ns: int, tolerance_ns: int) -> np.ndarray | None:
        """
        Give the label whose stamp is nearest, or None where none is near enough.

        :param tolerance_ns: how far the two may lie apart.
        :return: (H, W) uint8 class ids; 255 and other ids beyond the classes do not count.
        :raises EvaluationError: for a label that is no image of class ids.
        """
        while self._read_to_ns < wanted_ns + tolerance_ns and self._read():
            pass
        while self._near and self._near[0].stamp_ns < wanted_ns - DISORDER_NS:
            self._near.popleft()
        found = min(self._near, key=lambda near: abs(near.stamp_ns - wanted_ns), default=None)
        if found is None or abs(found.stamp_ns - wanted_ns) > tolerance_ns:
            return None
        self.matched += not found.matched
        found.matched = True
        return found.label()

    def count(self) -> int:
        """Give how many labels there are, of frames or of none; reads to their end."""
        while self._read():
            self._near.popleft()
        return self._count

    def _read(self) -> bool:
        stamp, label = next(self._labels, (None, None))
        if stamp is None:
            return False
        self._count += 1
        self._read_to_ns = max(self._read_to_ns, stamp)
        self._near.append(_Labelled(stamp, label))
        return True


class Truth:
    """
    The true labels of a drive.

    :param cameras: those of each camera, by its topic.
    """

    def __init__(self, cameras: dict[str, CameraTruth]) -> None:
        self._cameras = cameras

    def nearest(self, camera: str, stamp: int,
                tolerance_ns: int | None = None) -> np.ndarray | None:
        """
        Give the label nearest to a time, or None where none is near enough.

        :param camera: topic of its images.
        :param stamp: in ns.
        :param tolerance_ns: `TOLERANCE_NS` if None.
        :return: (H, W) uint8 class ids; 255 and other ids beyond the classes do not count.
        :raises EvaluationError: for a label that is no image of class ids.
        """
        return self._cameras[camera].nearest(
            stamp, TOLERANCE_NS if tolerance_ns is None else tolerance_ns)

    def matched(self, camera: str) -> int:
        """Give how many labels of a camera were the nearest of a frame so far."""
        return self._cameras[camera].matched

    def counts(self) -> dict[str, int]:
        """Give how many labels there are of each camera; reads to their end."""
        return {topic: camera.count() for topic, camera in self._cameras.items()}


def open_truth(source: str, bag: Path, cameras: list[CameraTopic]) -> Truth:
    """
    Give the true labels of a bag's cameras.

    :param source: a topic of the bag (with several cameras: the end that each camera's has, as
        `label` of `/front/label` and `/rear/label`), or a folder of images named by stamps in
        ns, `1700000000000000000.png` (with several cameras: in a folder of each camera's name).
    :raises EvaluationError: when neither is there; names what the bag has.
    """
    if Path(source).is_dir():
        return Truth({camera.topic: CameraTruth(iter(_files(_folder_of(source, camera, cameras))))
                      for camera in cameras})
    with open_bag(bag) as reader:
        topics = reader.topics
    return Truth({
        camera.topic: CameraTruth(_recorded(bag, _topic_of(source, camera, cameras, topics)))
        for camera in cameras})


def _folder_of(source: str, camera: CameraTopic, cameras: list[CameraTopic]) -> Path:
    if len(cameras) == 1:
        return Path(source)
    folder = Path(source) / camera.name
    if not folder.is_dir():
        raise EvaluationError(f'{source}: no folder {camera.name!r} with the labels of '
                              f'{camera.topic}; with several cameras each has its own')
    return folder


def _files(folder: Path) -> list[tuple[int, Label]]:
    paths = {path: STAMP.search(path.stem) for path in folder.glob('*.png')}
    stamps = sorted((int(found[1]), path) for path, found in paths.items() if found)
    if not stamps:
        raise EvaluationError(f'{folder}: no labels; name them by the stamps of their frames in '
                              'ns, such as 1700000000000000000.png')
    return [(stamp, lambda path=path: _decode(path.read_bytes(), str(path)))
            for stamp, path in stamps]


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


def _recorded(bag: Path, topic: str) -> Iterator[tuple[int, Label]]:
    with open_bag(bag) as reader:
        for recorded in reader.messages([topic]):
            message = recorded.message()
            yield stamp_ns(message.header), lambda recorded=recorded: _label_of(recorded)


def _label_of(recorded: Recorded) -> np.ndarray:
    message, place = recorded.message(), f'{recorded.topic} at {recorded.time_ns} ns'
    if recorded.type_name == COMPRESSED_IMAGE:
        return _decode(bytes(message.data), place)
    if message.encoding != 'mono8':
        raise EvaluationError(f'{place}: a label of encoding {message.encoding!r}; mono8 holds '
                              'class ids')
    try:
        return np.array(decode_image(message, message.width * message.height)[..., 0])
    except ImageError as error:
        raise EvaluationError(f'{place}: {error}') from error


def _decode(content: bytes, place: str) -> np.ndarray:
    label = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)
    if label is None or label.ndim != 2 or label.dtype != np.uint8:
        raise EvaluationError(f'{place}: no grey 8-bit PNG of class ids')
    return label
