# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
What the consumers of labels demand, as rules on what was seen; no ROS in here.

`nav2` is the costmap plugin semantic_segmentation_layer (github.com/kiwicampus), by the sources of
its branches for Humble, Jazzy and Rolling; `mono8` is any node that reads the label image alone.
docs/contracts.md says which demand is whose.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from segret_ros.offline.contract.cloud_rules import APPROXIMATE_MS, check_cloud
from segret_ros.offline.contract.observation import (
    count_of,
    Finding,
    Frame,
    IMAGE,
    LABEL_INFO,
    label_topics,
    layout_faults,
    NS_PER_S,
    Observation,
    partners,
    seconds,
    Topic,
)

CONSUMERS = ('nav2', 'mono8')
UNKNOWN_ID = 255  # of no class: the layer ignores it, as in vision_msgs
MAX_ID = 255  # the layer keeps ids in 8 bits


def check(observation: Observation, consumer: str) -> list[Finding]:
    """Return what violates the demands of one of `CONSUMERS`, and what meets them."""
    findings = [*_image(observation.label, observation),
                *_reliability(observation.label, consumer),
                *_like_camera(observation.label, observation.camera)]
    if consumer == 'nav2':
        findings += [*_image(observation.confidence, observation),
                     *_reliability(observation.confidence, consumer),
                     *_pairs(observation.label, observation.confidence),
                     *_label_info(observation), *check_cloud(observation)]
    return [*findings, *observation.unread]


def _image(topic: Topic, observation: Observation) -> Iterator[Finding]:
    """Demand mono8 images without padding whose stamps increase."""
    where, labels = observation.where, label_topics(observation.types)
    if not topic.type_name and topic is observation.label and labels:
        yield topic.error(f'no such topic {where}: name one of {", ".join(labels)} with '
                          '--label-topic')
    elif not topic.type_name:
        yield topic.error(f'no such topic {where}: check --prefix or --label-topic, and that the '
                          'node is active')
    elif topic.type_name != IMAGE:
        yield topic.error(f'is of type {topic.type_name}: labels and confidence are {IMAGE}')
    elif not topic.frames:
        yield topic.error(f'no message {where}: check that the node is active and receives images '
                          '(ros2 topic echo /diagnostics)')
    else:
        faults = [topic.error(text) for text in layout_faults(
            topic.frames, map(_fault_of, topic.frames),
            'give each the stamp of its own camera image, and let one node publish the topic')]
        yield from faults or [topic.ok(
            f'{count_of(topic.frames)}, mono8, {topic.frames[-1].size} pixels, no padding, stamps '
            'increase')]


def _fault_of(frame: Frame) -> str | None:
    """Return why the bytes of an image are not read as its pixels; None if they are."""
    if frame.encoding != 'mono8':
        return (f'encoding is {frame.encoding!r}: one byte a pixel is read, its class id or '
                "confidence, so publish 'mono8'")
    if frame.step != frame.width:
        return (f'step is {frame.step} for rows of {frame.width} pixels: padding is read as '
                f'pixels, so publish rows without it (step {frame.width})')
    if frame.data_size != frame.step * frame.height or not frame.data_size:
        return (f'{frame.data_size} bytes for {frame.size} pixels: publish height x step bytes, '
                'at least one')
    return None


def _reliability(topic: Topic, consumer: str) -> Iterator[Finding]:
    """Demand an offer that the consumer's subscription accepts."""
    offered = {offer.reliability for offer in topic.offers}
    if not topic.type_name:
        return
    if 'best_effort' in offered and consumer == 'mono8':
        yield topic.error('offered as best effort: a subscription of the default QoS is reliable '
                          'and gets nothing, so publish reliable')
    elif 'best_effort' in offered:
        yield topic.warning('offered as best effort: the layer subscribes, but where one image is '
                            'lost its pair is unused, so publish reliable')
    elif offered == {'reliable'}:
        yield topic.ok('offered as reliable: subscriptions of either kind match')
    else:
        yield _unknown_qos(topic)


def _unknown_qos(topic: Topic) -> Finding:
    return topic.warning('its QoS is not known (the bag has none recorded): check the live graph '
                         'too')


def _like_camera(label: Topic, camera: Topic) -> Iterator[Finding]:
    """Demand the camera's size, and a stamp that is a camera image's to the nanosecond."""
    if not label.frames:
        return
    if not camera.frames:
        yield label.warning(f"nothing was read on {camera.name}, so size and stamps can't be "
                            "compared with the camera's: name its image or camera_info with "
                            '--camera-topic')
        return
    sized = [frame for frame in camera.frames if frame.height]
    if len(sized) < len(camera.frames):
        yield camera.warning(f'{len(camera.frames) - len(sized)} of {count_of(camera.frames)} are '
                             "damaged: the labels can't be compared with their size")
    if odd := _other_size(label.frames, sized):
        frame, image = odd
        yield label.error(f'{frame.size} pixels, but {camera.name} is {image.size}: a label '
                          'belongs to the camera pixel at the same position, so publish the '
                          "camera's size")
    elif sized:
        yield label.ok(f'the size of {camera.name}')
    yield from _stamps(label, camera, 'is looked up for the wrong moment')


def _pairs(label: Topic, confidence: Topic) -> Iterator[Finding]:
    """Demand for each label a confidence of equal stamp and size."""
    if not label.frames or not confidence.frames:
        return
    yield from _stamps(label, confidence,
                       'is never paired by exact time (Humble, or use_approximate_time_sync: '
                       f'false), and by chance within {APPROXIMATE_MS} ms otherwise')
    if odd := _other_size(label.frames, confidence.frames):
        frame, other = odd
        yield confidence.error(f'{other.size} pixels, but {label.name} is {frame.size}: the layer '
                               'reads both at the same index and checks the label alone, so '
                               'publish one size')


def _other_size(frames: Sequence[Frame],
                others: Sequence[Frame]) -> tuple[Frame, Frame] | None:
    """Return the first pair of different sizes; None without one."""
    pairs = partners(frames, others) if others else ()
    return next((pair for pair in pairs if pair[0].size != pair[1].size), None)


def _stamps(topic: Topic, other: Topic, consequence: str) -> Iterator[Finding]:
    equal, shifted, missing = compare_stamps([frame.stamp_ns for frame in topic.frames],
                                             [frame.stamp_ns for frame in other.frames])
    total = count_of(topic.frames)
    if shifted:
        stamp_ns, nearest_ns = shifted[0]
        yield topic.error(f'stamp {seconds(stamp_ns)} is {abs(stamp_ns - nearest_ns)} ns off '
                          f'{seconds(nearest_ns)} of {other.name} ({len(shifted)} of {total}): it '
                          f'{consequence}, so copy the header of the camera image')
    elif not equal:
        yield topic.error(f'no stamp is one of {other.name}: it {consequence}, so copy the header '
                          'of the camera image')
    elif missing:
        yield topic.warning(f'{len(missing)} of {total} have no message of equal stamp on '
                            f'{other.name}, first {seconds(missing[0])}: lost on the way if the '
                            'topic is best effort, else never published')
    else:
        yield topic.ok(f'{equal} of {total} have the stamp of a message on {other.name}')


def compare_stamps(stamps_ns: Sequence[int], others_ns: Sequence[int]
                   ) -> tuple[int, list[tuple[int, int]], list[int]]:
    """
    Look up each stamp among others, at least one.

    A stamp less than half the others' shortest interval from one of them belongs to it. Stamps
    before or after all others are left out, since the others were not seen then.

    :return: how many are equal to one; those that belong to one, with it; those in a gap.
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
    return len(stamps_ns) - len(strangers), shifted, missing


def _label_info(observation: Observation) -> Iterator[Finding]:
    """Demand latched names that cover every id that occurs."""
    topic, where = observation.label_info, observation.where
    if not topic.type_name:
        yield topic.error(f'no such topic {where}: without names the layer uses no label, so '
                          "install vision_msgs on the node's side (apt install "
                          'ros-$ROS_DISTRO-vision-msgs)')
        return
    if topic.type_name != LABEL_INFO:
        yield topic.error(f'is of type {topic.type_name}: the layer takes {LABEL_INFO}')
        return
    yield _latched(topic)
    if not topic.readable:
        yield topic.warning("its contents can't be read here: install vision_msgs on this side, "
                            'or check a bag')
    elif topic.classes is None:
        yield topic.error(f'no message {where}: without names the layer uses no label, so publish '
                          'them latched, before the first label')
    else:
        faults = [topic.error(text)
                  for text in _class_faults(topic.classes, observation.label.frames)]
        yield from faults or [topic.ok(
            f'{len(topic.classes)} classes, which cover every label id that occurs')]


def _latched(topic: Topic) -> Finding:
    reliability = {offer.reliability for offer in topic.offers}
    durability = {offer.durability for offer in topic.offers}
    if reliability == {'reliable'} and durability == {'transient_local'}:
        return topic.ok('latched: reliable, transient local')
    if 'best_effort' in reliability or 'volatile' in durability:
        return topic.error(f'offered as {_listed(reliability)}, {_listed(durability)}: the layer '
                           'subscribes reliable and transient local and DDS matches no lesser '
                           'offer, so publish it latched')
    return _unknown_qos(topic)


def _class_faults(classes: Sequence[tuple[int, str]], labels: Sequence[Frame]) -> Iterator[str]:
    if not classes:
        yield ('its class map is empty: the layer then uses no label, so give the id and name of '
               'each class')
        return
    if large := [item for item in classes if item[0] > MAX_ID]:
        yield (f'class {large[0][1]!r} has id {large[0][0]}: labels are 8 bits wide, so take ids '
               f'up to {MAX_ID}')
    for index, kind in enumerate(('id', 'name')):
        values = [item[index] for item in classes]
        if twice := sorted({value for value in values if values.count(value) > 1}):
            yield (f'class {kind} {twice[0]!r} occurs {values.count(twice[0])} times: the layer '
                   'keeps one of them, so give each class one id and one name')
    occurring = frozenset().union(*(frame.ids for frame in labels))
    if nameless := sorted(occurring - {item[0] for item in classes} - {UNKNOWN_ID}):
        yield (f'no name for what the labels hold, {_listed(nameless)}: the layer ignores such '
               f'pixels, so name every id but {UNKNOWN_ID} (unknown)')


def _listed(values: Iterable[Any]) -> str:
    return ', '.join(str(value).replace('_', ' ') for value in sorted(values))
