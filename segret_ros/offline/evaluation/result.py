# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""The labels of a drive as messages, under the names that the node gives them."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from segret_ros.labels.label_set import LabelSet
from segret_ros.offline.bags import (
    Bag,
    open_bag,
    Recorded,
    serialize,
    serialized_stamp_ns,
    TYPESTORE,
)
from segret_ros.offline.evaluation.frames import decode
from segret_ros.offline.evaluation.output import Columns, STAMPS
from segret_ros.offline.evaluation.truth import Truth

PNG_EFFORT = 1  # of 9: three times as fast as the default for a tenth more bytes
OK, WARN, ERROR = 0, 1, 2  # of diagnostic_msgs/DiagnosticStatus


class ResultTopics:
    """
    Makes the messages of one camera.

    :param camera: its name, under which its topics are.
    """

    def __init__(self, camera: str, labels: LabelSet) -> None:
        base = f'/{camera}/segmentation' if camera else '/segmentation'
        self.label, self.color, self.status = (
            f'{base}/{name}' for name in ('label', 'color/compressed', 'status'))
        self._palette = labels.color_table().tobytes()

    def messages(self, header: Any, time_ns: int, label: np.ndarray | None, problem: str,
                 values: dict[str, object]) -> Iterable[Recorded]:
        """
        Yield what is recorded of a frame: label, colours and status, with the frame's header.

        :param header: of the frame, of rosbags' std_msgs/Header.
        :param label: (H, W) uint8, or None where there is none; `problem` then says why.
        """
        if label is not None:
            yield serialize(self.label, time_ns, label_message(header, label))
            yield serialize(self.color, time_ns, self._color_message(header, label))
        yield serialize(self.status, time_ns, self._status(header, label, problem, values))

    def _color_message(self, header: Any, label: np.ndarray) -> Any:
        picture = Image.fromarray(label, 'P')  # ids with a palette: a third of the RGB file
        picture.putpalette(self._palette)
        file = BytesIO()
        picture.save(file, 'PNG', compress_level=PNG_EFFORT)
        return _new('sensor_msgs/msg/CompressedImage', header=header,
                    format='bgr8; png compressed bgr8',
                    data=np.frombuffer(file.getvalue(), np.uint8))

    def _status(self, header: Any, label: np.ndarray | None, problem: str,
                values: dict[str, object]) -> Any:
        level = ERROR if label is None else WARN if problem else OK
        pairs = [_new('diagnostic_msgs/msg/KeyValue', key=key, value=_text(value))
                 for key, value in values.items()]
        status = _new('diagnostic_msgs/msg/DiagnosticStatus', level=level,
                      name=self.label.removesuffix('/label'), message=problem or 'valid',
                      hardware_id='', values=pairs)
        return _new('diagnostic_msgs/msg/DiagnosticArray', header=header, status=[status])


def label_message(header: Any, label: np.ndarray) -> Any:
    """Return a label as a sensor_msgs/Image of mono8 without row padding."""
    height, width = label.shape
    return _new('sensor_msgs/msg/Image', header=header, height=height, width=width,
                encoding='mono8', is_bigendian=0, step=width, data=label.reshape(-1))


def new_header(stamp_ns: int, frame_id: str) -> Any:
    """Return a std_msgs/Header."""
    seconds, nanoseconds = divmod(stamp_ns, 1_000_000_000)
    stamp = _new('builtin_interfaces/msg/Time', sec=seconds, nanosec=nanoseconds)
    return _new('std_msgs/msg/Header', stamp=stamp, frame_id=frame_id)


def _new(type_name: str, **fields: Any) -> Any:
    return TYPESTORE.types[type_name](**fields)


def _text(value: object) -> str:
    return f'{value:.3f}' if isinstance(value, float) else str(value)


@dataclass(frozen=True)
class Labelled:
    """
    A frame with its labels.

    :param row: its line in frames.csv, from 0.
    :param true_label: (H, W) uint8, or None.
    """

    row: int
    image_rgb: np.ndarray
    label: np.ndarray
    true_label: np.ndarray | None


def read_labelled(bag: Path, result: Path, label_topics: dict[str, str], truth: Truth | None,
                  columns: Columns, rows: Iterable[int]) -> Iterator[Labelled]:
    """
    Yield some frames of a bag with their labels, in the order of recording.

    :param result: the evaluation's result.mcap.
    :param label_topics: its topics by camera.
    :param columns: of `frames.csv`, `PLACE` at least.
    """
    with open_bag(bag) as frames, open_bag(result) as results:
        for row in sorted(rows, key=lambda row: columns['time_ns'][row]):
            camera = columns['camera'][row]
            stamp_ns, time_ns = (int(columns[name][row]) for name in STAMPS)
            recorded = _find(frames, camera, stamp_ns, time_ns)
            labelled = _find(results, label_topics[camera], stamp_ns, time_ns)
            image = decode(recorded).image_rgb if recorded else None
            if image is None or labelled is None:
                continue  # of two messages of one moment and stamp the other one was meant
            message = labelled.message()
            label = message.data.reshape(message.height, message.width)
            found = truth.cameras[camera].find(stamp_ns, time_ns, label.shape) if truth else None
            yield Labelled(row, image, label, found.label if found else None)


def _find(bag: Bag, topic: str, stamp_ns: int, time_ns: int) -> Recorded | None:
    """Return the message of a topic that has a stamp and was recorded at a time."""
    return next((recorded for recorded in bag.messages([topic], time_ns, time_ns + 1)
                 if serialized_stamp_ns(recorded.data) == stamp_ns), None)
