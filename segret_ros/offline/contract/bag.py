# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Looks at the label topics of a bag."""

from pathlib import Path

from segret_ros.offline.bags import Bag, open_bag, printable
from segret_ros.offline.contract.observation import (
    Fault,
    MOST_FRAMES,
    Observation,
    Offer,
    Topic,
    TopicNames,
)


def observe_bag(path: Path, names: TopicNames) -> Observation:
    """
    Give what a bag holds, up to `MOST_FRAMES` labels.

    :param names: of a default label, take the place of the bag's only label topic.
    :raises BagError: for a bag that can't be read.
    """
    with open_bag(path) as bag:
        names = names.among(bag.topics)
        topics = _topics(bag, names)
        faults = [Fault(damage.place, damage.problem, damage.count) for damage in bag.damage]
        return Observation.of(topics, names, f'in {printable(str(path))}', bag.topics, faults)


def _topics(bag: Bag, names: TopicNames) -> list[Topic]:
    topics = {name: Topic(name, bag.topics[name], [
        Offer(qos.reliability.name.lower(), qos.durability.name.lower())
        for qos in bag.qos(name)]) for name in names.topics() if name in bag.topics}
    for recorded in bag.messages(list(topics)):
        topics[recorded.topic].add(recorded.message())
        if recorded.topic == names.label and len(topics[names.label].frames) == MOST_FRAMES:
            break
    return list(topics.values())
