# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
The demands of those who read labels, as rules on what was seen; no ROS in here.

`nav2` is the costmap plugin semantic_segmentation_layer (github.com/kiwicampus), whose branches
for Humble, Jazzy and Rolling were read; `mono8` is any node that reads the label image alone.
docs/contracts.md tells which demand is whose.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from segret_ros.offline.contract.cloud_rules import APPROXIMATE_MS, check_cloud
from segret_ros.offline.contract.findings import (
    count_of,
    disorder,
    Finding,
    NS_PER_S,
    number_of,
    seconds,
)
from segret_ros.offline.contract.observation import (
    Fault,
    Frame,
    IMAGE,
    LABEL_INFO,
    Observation,
    Topic,
)

CONSUMERS = ('nav2', 'mono8')
UNKNOWN_ID = 255  # of no class: the layer passes it over, as vision_msgs has it
LARGEST_ID = 255  # the layer keeps ids in 8 bits


def check(observation: Observation, consumer: str) -> list[Finding]:
    """
    Give what a consumer would stumble over, and what is as it demands.

    :param consumer: one of `CONSUMERS`.
    :raises ValueError: for another consumer.
    """
    if consumer not in CONSUMERS:
        raise ValueError(f'consumer {consumer!r} is not known: take {" or ".join(CONSUMERS)}')
    findings = [*_image(observation.label, observation),
                *_reliability(observation.label, consumer),
                *_like_camera(observation.label, observation.camera)]
    if consumer == 'nav2':
        findings += [*_image(observation.confidence, observation),
                     *_reliability(observation.confidence, consumer),
                     *_pairs(observation.label, observation.confidence),
                     *_label_info(observation), *check_cloud(observation)]
    return [*findings, *_damage(observation.faults)]


def _damage(faults: Sequence[Fault]) -> Iterator[Finding]:
    """Name what could not be read, and so was not checked."""
    for fault in faults:
        count = f' ({number_of(fault.count, "message")})' if fault.count else ''
        yield Finding('warning', fault.place, f'not checked{count}: {fault.problem}')


def _image(topic: Topic, observation: Observation) -> Iterator[Finding]:
    """Demand mono8 images without padding whose stamps increase."""
    where = observation.where
    if not topic.type_name and topic is observation.label and observation.labels:
        yield Finding('error', topic.name, f'no such topic {where}: name one of '
                                           f'{", ".join(observation.labels)} with --label-topic')
    elif not topic.type_name:
        yield Finding('error', topic.name, f'no such topic {where}: check --prefix or '
                                           '--label-topic, and that the node is active')
    elif topic.type_name != IMAGE:
        yield Finding('error', topic.name, f'is of type {topic.type_name}: labels and confidence '
                                           f'are {IMAGE}')
    elif not topic.frames:
        yield Finding('error', topic.name, f'no message {where}: check that the node is active '
                                           'and gets images (ros2 topic echo /diagnostics)')
    else:
        faults = [Finding('error', topic.name, fault) for fault in _image_faults(topic.frames)]
        frame = topic.frames[-1]
        yield from faults or [Finding(
            'ok', topic.name, f'{count_of(topic.frames)}, mono8, {frame.size} pixels, no padding, '
                              'stamps increase')]


def _image_faults(frames: Sequence[Frame]) -> Iterator[str]:
    first = next((frame for frame in frames if frame.encoding != 'mono8'), None)
    if first:
        yield (f'encoding is {first.encoding!r}: one byte a pixel is read, its class id or '
               "confidence, so publish 'mono8'")
        return
    first = next((frame for frame in frames if frame.step != frame.width), None)
    if first:
        yield (f'step is {first.step} for rows of {first.width} pixels: padding is read as '
               f'pixels, so publish rows without it (step {first.width})')
        return
    first = next((frame for frame in frames
                  if frame.data_size != frame.step * frame.height or not frame.data_size), None)
    if first:
        yield (f'{first.data_size} bytes for {first.size} pixels: publish height x step bytes, '
               'at least one')
    unordered = disorder(frames)
    if unordered:
        yield (f'{unordered}, so give each the stamp of its own camera image, and let one node '
               'publish the topic')


def _reliability(topic: Topic, consumer: str) -> Iterator[Finding]:
    """Demand an offer that the consumer's subscription accepts."""
    if not topic.type_name:
        return
    offered = {offer.reliability for offer in topic.offers}
    if 'best_effort' in offered and consumer == 'mono8':
        yield Finding('error', topic.name, 'offered as best effort: a subscription of the '
                                           'default QoS is reliable and gets nothing, so publish '
                                           'reliable')
    elif 'best_effort' in offered:
        yield Finding('warning', topic.name, 'offered as best effort: the layer subscribes, but '
                                             'where one image is lost its pair is unused, so '
                                             'publish reliable')
    elif offered == {'reliable'}:
        yield Finding('ok', topic.name, 'offered as reliable: subscriptions of either kind match')
    else:
        yield _unknown_qos(topic)


def _unknown_qos(topic: Topic) -> Finding:
    return Finding('warning', topic.name, 'its QoS is not known (the bag has none recorded): '
                                          'check the live graph too')


def _like_camera(label: Topic, camera: Topic) -> Iterator[Finding]:
    """Demand the camera's size, and a stamp that is a camera image's to the nanosecond."""
    if not label.frames:
        return
    if not camera.frames:
        yield Finding('warning', label.name, f'nothing was read on {camera.name}, so size and '
                                             "stamps can't be compared with the camera's: name "
                                             'its image or camera_info with --camera-topic')
        return
    sized = [frame for frame in camera.frames if frame.height]
    if len(sized) < len(camera.frames):
        yield Finding('warning', camera.name, f'{len(camera.frames) - len(sized)} of '
                                              f'{count_of(camera.frames)} are damaged: the labels '
                                              "can't be compared with their size")
    by_stamp = {frame.stamp_ns: frame for frame in sized}
    for frame in label.frames if sized else ():
        image = by_stamp.get(frame.stamp_ns, sized[-1])
        if frame.size != image.size:
            yield Finding('error', label.name, f'{frame.size} pixels, but {camera.name} is '
                                               f'{image.size}: a label is that of the camera '
                                               "pixel at its place, so publish the camera's size")
            break
    else:
        if sized:
            yield Finding('ok', label.name, f'the size of {camera.name}')
    yield from _stamps(label, camera, 'is looked up for the wrong moment')


def _pairs(label: Topic, confidence: Topic) -> Iterator[Finding]:
    """Demand for each label a confidence of equal stamp and size."""
    if not label.frames or not confidence.frames:
        return
    yield from _stamps(label, confidence,
                       'is never paired by exact time (Humble, or use_approximate_time_sync: '
                       f'false), and by chance within {APPROXIMATE_MS} ms otherwise')
    by_stamp = {frame.stamp_ns: frame for frame in confidence.frames}
    for frame in label.frames:
        other = by_stamp.get(frame.stamp_ns, confidence.frames[-1])
        if frame.size != other.size:
            yield Finding('error', confidence.name,
                          f'{other.size} pixels, but {label.name} is {frame.size}: the layer '
                          'reads both at the same index and checks the label alone, so publish '
                          'one size')
            return


def _stamps(topic: Topic, other: Topic, consequence: str) -> Iterator[Finding]:
    matching = compare_stamps([frame.stamp_ns for frame in topic.frames],
                              [frame.stamp_ns for frame in other.frames])
    if matching.shifted:
        stamp_ns, nearest_ns = matching.shifted[0]
        yield Finding('error', topic.name,
                      f'stamp {seconds(stamp_ns)} is {abs(stamp_ns - nearest_ns)} ns beside '
                      f'{seconds(nearest_ns)} of {other.name} ({len(matching.shifted)} of '
                      f'{count_of(topic.frames)}): it {consequence}, so copy the header of the '
                      'camera image')
    elif not matching.equal:
        yield Finding('error', topic.name,
                      f'no stamp is one of {other.name}: it {consequence}, so copy the header of '
                      'the camera image')
    elif matching.missing:
        yield Finding('warning', topic.name,
                      f'{len(matching.missing)} of {count_of(topic.frames)} have no message of '
                      f'equal stamp on {other.name}, first {seconds(matching.missing[0])}: lost '
                      'on the way where the topic is best effort, else never published')
    else:
        yield Finding('ok', topic.name, f'{matching.equal} of {count_of(topic.frames)} have the '
                                        f'stamp of a message on {other.name}')


@dataclass(frozen=True)
class Matching:
    """
    How the stamps of one topic are found on another.

    :param equal: how many are.
    :param shifted: those that are beside a stamp, with it.
    :param missing: those in a gap between stamps.
    """

    equal: int
    shifted: list[tuple[int, int]]
    missing: list[int]


def compare_stamps(stamps_ns: Sequence[int], others_ns: Sequence[int]) -> Matching:
    """
    Look up each stamp among others, at least one.

    A stamp less than half the others' shortest interval from one of them belongs to it; one that
    is farther away, before or after all of them, was seen while the others were not.
    """
    known = set(others_ns)
    ordered = sorted(known)
    interval_ns = min((later - earlier for earlier, later in zip(ordered, ordered[1:])),
                      default=NS_PER_S)
    strangers = [stamp for stamp in stamps_ns if stamp not in known]
    nearest = {stamp: min(ordered, key=lambda other: abs(other - stamp)) for stamp in strangers}
    shifted = [(stamp, nearest[stamp]) for stamp in strangers
               if 2 * abs(stamp - nearest[stamp]) < interval_ns]
    beside = {stamp for stamp, _ in shifted}
    missing = [stamp for stamp in strangers
               if stamp not in beside and ordered[0] < stamp < ordered[-1]]
    return Matching(len(stamps_ns) - len(strangers), shifted, missing)


def _label_info(observation: Observation) -> Iterator[Finding]:
    """Demand latched names that cover every id that occurs."""
    topic = observation.label_info
    if not topic.type_name:
        yield Finding('error', topic.name, f'no such topic {observation.where}: without names the '
                                           'layer uses no label, so install vision_msgs on the '
                                           "node's side (apt install ros-$ROS_DISTRO-vision-msgs)")
        return
    if topic.type_name != LABEL_INFO:
        yield Finding('error', topic.name, f'is of type {topic.type_name}: the layer takes '
                                           f'{LABEL_INFO}')
        return
    yield from _latched(topic)
    if not topic.readable:
        yield Finding('warning', topic.name, "its contents can't be read here: install "
                                             'vision_msgs on this side, or check a bag')
    elif topic.classes is None:
        yield Finding('error', topic.name, f'no message {observation.where}: without names the '
                                           'layer uses no label, so publish them latched, before '
                                           'the first label')
    else:
        faults = [Finding('error', topic.name, text)
                  for text in _class_faults(topic.classes, observation.label.frames)]
        yield from faults or [Finding('ok', topic.name, f'{len(topic.classes)} classes, which '
                                                        'cover every label id that occurs')]


def _latched(topic: Topic) -> Iterator[Finding]:
    wanted = {'reliability': 'reliable', 'durability': 'transient_local'}
    offered = {name: {getattr(offer, name) for offer in topic.offers} for name in wanted}
    if offered['reliability'] == {'reliable'} and offered['durability'] == {'transient_local'}:
        yield Finding('ok', topic.name, 'latched: reliable, transient local')
    elif 'best_effort' in offered['reliability'] or 'volatile' in offered['durability']:
        yield Finding('error', topic.name,
                      f'offered as {_listed(offered["reliability"])}, '
                      f'{_listed(offered["durability"])}: the layer subscribes reliable and '
                      'transient local and DDS matches no lesser offer, so publish it latched')
    else:
        yield _unknown_qos(topic)


def _class_faults(classes: Sequence[tuple[int, str]], labels: Sequence[Frame]) -> Iterator[str]:
    if not classes:
        yield ('its class map is empty: the layer then uses no label, so give the id and name of '
               'each class')
        return
    large = [item for item in classes if item[0] > LARGEST_ID]
    if large:
        yield (f'class {large[0][1]!r} has id {large[0][0]}: labels are 8 bits wide, so take ids '
               f'up to {LARGEST_ID}')
    for index, kind in enumerate(('id', 'name')):
        values = [item[index] for item in classes]
        twice = sorted({value for value in values if values.count(value) > 1})
        if twice:
            yield (f'class {kind} {twice[0]!r} occurs {values.count(twice[0])} times: the layer '
                   'keeps one of them, so give each class one id and one name')
    occurring = frozenset().union(*(frame.ids for frame in labels))
    nameless = sorted(occurring - {item[0] for item in classes} - {UNKNOWN_ID})
    if nameless:
        yield (f'no name for what the labels hold, {_listed(nameless)}: the layer passes such '
               f'pixels over, so name every id but {UNKNOWN_ID} (unknown)')


def _listed(values: Sequence | set) -> str:
    return ', '.join(str(value).replace('_', ' ') for value in sorted(values))
