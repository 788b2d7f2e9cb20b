# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""The frames of a recorded drive, and work on several at once."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from typing import TypeVar

import numpy as np
from segret_ros.images.codec import decode_compressed, decode_image
from segret_ros.images.error import ImageError
from segret_ros.inference.segmenter import Stopwatch
from segret_ros.offline.bags import Bag, Recorded, stamp_ns
from segret_ros.offline.bags.cameras import CameraTopic, COMPRESSED_IMAGE

MAX_PIXELS = 33_177_600  # as the node's parameter max_pixels has it
AHEAD = 2  # frames that wait beside those in work

Item, Result = TypeVar('Item'), TypeVar('Result')


@dataclass(frozen=True)
class Frame:
    """
    One image of a drive.

    :param camera: its topic.
    :param stamp_ns, frame_id: of its header; the time of recording where that can't be read.
    :param time_ns: when it was recorded.
    :param image_rgb: (H, W, 3) uint8, or None where the message holds no usable image.
    :param problem: why there is none, or empty; `reason` is its kind, by which frames are counted.
    :param decode_ms: wall time.
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

    :param start_s, stop_s: seconds from the bag's begin, or None for its begin and end.
    :param every: of this many frames of a camera the first.
    """

    start_s: float | None = None
    stop_s: float | None = None
    every: int = 1

    def limits_ns(self, bag: Bag) -> tuple[int | None, int | None]:
        """Give the times of recording that the span begins and ends with, as `Bag.messages`."""
        begin = bag.start_ns or 0
        return tuple(None if second is None else begin + round(second * 1e9)
                     for second in (self.start_s, self.stop_s))


def decode(recorded: Recorded) -> Frame:
    """Give a message's frame, without an image where it holds no usable one."""
    watch = Stopwatch()
    stamp, frame_id, image, problem, reason = recorded.time_ns, '', None, '', ''
    try:
        message = recorded.message()
        stamp, frame_id = stamp_ns(message.header), message.header.frame_id
        decoder = decode_compressed if recorded.type_name == COMPRESSED_IMAGE else decode_image
        image = decoder(message, MAX_PIXELS)
    except ImageError as error:
        problem, reason = str(error), error.kind
    except Exception as error:  # what deserialising broken bytes raises is anything
        reason = f'no message of {recorded.type_name}'
        problem = f'{reason}: {type(error).__name__}: {error}'
    watch.lap('decode')
    return Frame(recorded.topic, stamp, frame_id, recorded.time_ns, image, problem, reason,
                 watch.laps_ms['decode'])


def read_messages(bag: Bag, cameras: list[CameraTopic], span: Span,
                  skip: int) -> Iterator[Recorded]:
    """
    Give the messages of a span's frames in order of recording.

    :param skip: so many of the first that would be given are passed over.
    """
    topics = [camera.topic for camera in cameras]
    messages = bag.messages(topics, *span.limits_ns(bag))
    return islice(every_nth(messages, topics, span.every), skip, None)


def every_nth(messages: Iterable[Recorded], topics: Iterable[str],
              every: int) -> Iterator[Recorded]:
    """Yield messages, of each of some topics the first of so many."""
    seen = dict.fromkeys(topics, 0)
    for recorded in messages:
        if recorded.topic in seen:
            seen[recorded.topic] += 1
            if (seen[recorded.topic] - 1) % every:
                continue
        yield recorded


def in_order(function: Callable[[Item], Result], items: Iterable[Item],
             threads: int) -> Iterator[Result]:
    """
    Give a function's results of some items in their order, while threads work on the next ones.

    :param threads: that the function runs in.
    """
    waiting: deque[Future] = deque()
    with ThreadPoolExecutor(threads) as pool:
        try:
            for item in items:
                waiting.append(pool.submit(function, item))
                if len(waiting) > threads + AHEAD:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:  # whoever takes the results may have gone before their end
            for future in waiting:
                future.cancel()
