# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""The classes that the ids of recorded labels stand for, if the recording says so."""

from collections.abc import Sequence
from pathlib import Path

from segret_ros.labels.label_set import class_difference, load_label_set
from segret_ros.offline.bags import Bag
from segret_ros.offline.bags.cameras import COMPRESSED

CLASSES = 'classes.yaml'  # beside labels, in the format of a label set
LABEL_INFO = 'vision_msgs/msg/LabelInfo'
HOW_TO_TELL = f'Put a {CLASSES} beside them, laid out as config/label_sets, to name their own'


def names_of_folder(labels: Path) -> tuple[str, ...] | None:
    """
    Return the classes in the `classes.yaml` of a folder of labels or a bag; None without one.

    :param labels: the folder, or a file in it.
    :raises LabelSetError: for a malformed file.
    """
    path = (labels if labels.is_dir() else labels.parent) / CLASSES
    return load_label_set(path).names if path.is_file() else None


def names_of_topic(bag: Bag, path: Path, topic: str) -> tuple[str, ...] | None:
    """
    Return the classes of a label topic, from the LabelInfo beside it or else the bag's folder.

    :raises ValueError: for a malformed LabelInfo or file.
    """
    beside = topic.removesuffix(COMPRESSED).rpartition('/')[0] + '/label_info'
    if bag.topics.get(beside) == LABEL_INFO:
        for recorded in bag.messages([beside]):
            names = {item.class_id: item.class_name for item in recorded.message().class_map}
            return tuple(names.get(index, '') for index in range(max(names, default=-1) + 1))
    return names_of_folder(path)


def check_classes(labels: str, theirs: Sequence[str] | None, model: str,
                  ours: Sequence[str]) -> None:
    """
    Raise an error if a model has other classes than labels.

    :param labels, model: what they are called.
    :param theirs: classes of the labels; None if unknown.
    :raises ValueError: for names that differ.
    """
    if theirs is not None and (difference := class_difference(theirs, ours)):
        raise ValueError(f'{labels}: has other classes than {model} ({difference}): only a model '
                         'of the same classes, in the same order, can be scored')
