# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""The frames of a recorded drive: which are wanted, and how they are read and decoded."""

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import TypeVar

import numpy as np
from segret_ros.images.codec import decode_compressed, decode_image
from segret_ros.images.error import ImageError
from segret_ros.inference.segmenter import Stopwatch
from segret_ros.offline.bags import Bag, open_bag, Recorded, stamp_ns
from segret_ros.offline.bags.cameras import bag_cameras, CameraTopic, COMPRESSED_IMAGE
from segret_ros.offline.evaluation.truth import open_truth, Truth

MAX_PIXELS = 33_177_600  # as the node's parameter max_pixels has it
AHEAD = 2  # frames that wait beside those in work

Item = TypeVar('Item')
Result = TypeVar('Result')


@dataclass(frozen=True)
class Frame:
    """
    One image of a drive.

    :param stamp_ns, frame_id: of its header; the time of recording where that can't be read.
    :param image_rgb: (H, W, 3) uint8, or None if the message holds no usable image.
    :param problem: why there is none, or empty; `reason` is its kind, by which frames are counted.
    """

    camera: str
    stamp_ns: int
    frame_id: str
    time_ns: int
    image_rgb: np.ndarray | None
    problem: str
    reason: str
    decode_ms: float


@dataclass(frozen=True)
class Span:
    """
    Which frames of a drive are wanted.

    :param start_s, stop_s: seconds after the start of the bag, or None for its start and end.
    :param every: take the first of this many frames of a camera.
    """

    start_s: float | None = None
    stop_s: float | None = None
    every: int = 1

    def limits_ns(self, bag: Bag) -> tuple[int | None, int | None]:
        """Return the recording times at which the span starts and stops."""
        start, stop = (None if second is None else (bag.start_ns or 0) + round(second * 1e9)
                       for second in (self.start_s, self.stop_s))
        return start, stop


@dataclass(frozen=True)
class Options:
    """
    How drives are evaluated.

    :param topics: of the cameras; empty for all.
    :param labels: topic or folder of true labels, or None.
    :param min_confidence: probability 0..1 below which pixels are unknown.
    """

    model: Path
    device: str = 'auto'
    topics: tuple[str, ...] = ()
    labels: str | None = None
    span: Span = Span()
    min_confidence: float = 0.0


@dataclass
class Job:
    """A bag to evaluate; its cameras and true labels are looked up once, on first use."""

    name: str
    bag: Path
    folder: Path
    options: Options
    classes: tuple[str, ...]

    @property
    def cameras(self) -> list[CameraTopic]:
        """
        Return the cameras.

        :raises BagError: for a bag or topics that can't be used.
        """
        return self._found[0]

    @property
    def limits_ns(self) -> tuple[int, int]:
        """Return the recording times at which the evaluation starts and stops."""
        return self._found[1]

    @cached_property
    def _found(self) -> tuple[list[CameraTopic], tuple[int, int]]:
        with open_bag(self.bag) as bag:
            cameras = bag_cameras(bag, list(self.options.topics))
            start, stop = self.options.span.limits_ns(bag)
            begin, end = bag.start_ns or 0, bag.stop_ns or 0
        start = begin if start is None else min(start, end)
        return cameras, (start, max(start, end if stop is None else min(stop, end)))

    @cached_property
    def truth(self) -> Truth | None:
        """
        Return the true labels; None where none are asked for.

        :raises ValueError: for labels that can't be used.
        """
        if self.options.labels is None:
            return None
        return open_truth(self.options.labels, self.bag, self.cameras, self.classes)


def decode(recorded: Recorded) -> Frame:
    """Decode a message into a frame, without an image where it holds no usable one."""
    watch = Stopwatch()
    stamp, frame_id, image, problem, reason = recorded.time_ns, '', None, '', ''
    try:
        message = recorded.message()
        stamp, frame_id = stamp_ns(message.header), message.header.frame_id
        decoder = decode_compressed if recorded.type_name == COMPRESSED_IMAGE else decode_image
        image = decoder(message, MAX_PIXELS)
    except ImageError as error:
        problem, reason = str(error), error.kind
    except Exception as error:  # deserialising malformed bytes can raise anything
        reason = f'no message of {recorded.type_name}'
        problem = f'{reason}: {type(error).__name__}: {error}'
    watch.lap('decode')
    return Frame(recorded.topic, stamp, frame_id, recorded.time_ns, image, problem, reason,
                 watch.laps_ms['decode'])


def read_messages(bag: Bag, cameras: list[CameraTopic], span: Span,
                  skip: int) -> Iterator[Recorded]:
    """Yield the messages of a span's frames in recording order, but for the first `skip`."""
    topics = [camera.topic for camera in cameras]
    messages = bag.messages(topics, *span.limits_ns(bag))
    return islice(every_nth(messages, topics, span.every), skip, None)


def every_nth(messages: Iterable[Recorded], topics: Iterable[str],
              every: int) -> Iterator[Recorded]:
    """Yield messages, for some topics only the first of every `every`."""
    seen = dict.fromkeys(topics, 0)
    for recorded in messages:
        if recorded.topic in seen:
            seen[recorded.topic] += 1
            if (seen[recorded.topic] - 1) % every:
                continue
        yield recorded


def in_order(function: Callable[[Item], Result], items: Iterable[Item],
             threads: int) -> Generator[Result, None, None]:
    """Yield a function's results for some items in order, while threads work on the next ones."""
    waiting: deque[Future[Result]] = deque()
    with ThreadPoolExecutor(threads) as pool:
        try:
            for item in items:
                waiting.append(pool.submit(function, item))
                if len(waiting) > threads + AHEAD:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:  # the consumer may have stopped early
            for future in waiting:
                future.cancel()
