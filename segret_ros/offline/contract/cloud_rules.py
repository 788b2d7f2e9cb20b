# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
What Nav2's layer demands of the cloud that it reads beside the labels; no ROS in here.

It takes the point of a pixel by the pixel's number, row by row, and pairs cloud and label by their
stamps.
"""

from collections.abc import Iterator, Sequence

from segret_ros.offline.contract.observation import (
    count_of,
    Finding,
    Frame,
    layout_faults,
    Observation,
    partners,
    POINT_CLOUD,
    seconds,
    Topic,
)

AXES = ('x', 'y', 'z')
APPROXIMATE_MS = 100  # the layer's longest interval of a pair, where it pairs approximately
NS_PER_MS = 1_000_000


def check_cloud(observation: Observation) -> Iterator[Finding]:
    """Demand an organised cloud of the labels' size and stamps; nothing if none was asked for."""
    cloud, where = observation.cloud, observation.where
    if cloud is None:
        return
    if not cloud.type_name:
        others = ', '.join(sorted(name for name, kind in observation.types.items()
                                  if kind == POINT_CLOUD))
        yield cloud.error(f'no such topic {where}: ' + (
            f'name one of {others} with --cloud-topic' if others else
            'start what publishes the points, as depth_cloud.launch.py does'))
    elif cloud.type_name != POINT_CLOUD:
        yield cloud.error(f'is of type {cloud.type_name}: the layer takes {POINT_CLOUD}')
    elif not cloud.frames:
        yield cloud.error(f'no message {where}: check that depth images arrive; for '
                          'depth_image_proc, that they and both camera_info are offered reliable '
                          'and that tf2 has the transform from the depth to the colour camera')
    else:
        labels = observation.label.frames
        pairs = partners(cloud.frames, labels) if labels else ((one, None) for one in cloud.frames)
        faults = [cloud.error(text) for text in layout_faults(
            cloud.frames, (_fault_of(*pair) for pair in pairs),
            'let one node publish the topic, with the stamp of each depth image')]
        yield from faults or [cloud.ok(
            f'{count_of(cloud.frames)}, organised, {cloud.frames[-1].size} points, x, y and z of '
            'float32, stamps increase')]
        if labels:
            yield from () if faults else _frames(cloud, labels)
            yield from _cloud_stamps(observation.label, cloud)


def _fault_of(frame: Frame, label: Frame | None) -> str | None:
    """Return why the points can't be those of the label's pixels; None if they may be."""
    missing = [axis for axis in AXES if axis not in frame.encoding.split()]
    if missing:
        return (f'no field {missing[0]!r} of float32: the layer reads x, y and z so, and fails '
                'without them')
    if label and frame.height == 1 < label.height:
        return (f'is not organised: {frame.width} points in one row, and the labels are '
                f'{label.size}. The layer finds the point of a pixel by its number, so publish a '
                'point a pixel, as depth_cloud.launch.py does')
    if label and frame.size != label.size:
        return (f'{frame.size} points, but {label.size} labels: the layer finds the point of a '
                'pixel by its number, so publish a cloud that is registered to the colour image '
                "(the driver's aligned depth, or depth_cloud.launch.py)")
    if frame.step != frame.width * frame.point_step:
        return (f'row_step is {frame.step} for rows of {frame.width} points of {frame.point_step} '
                'bytes: padding is read as points, so publish rows without it (row_step '
                f'{frame.width * frame.point_step})')
    if frame.data_size != frame.step * frame.height or not frame.data_size:
        return (f'{frame.data_size} bytes for {frame.size} points: publish height x row_step '
                'bytes, at least one point')
    return None


def _frames(cloud: Topic, labels: Sequence[Frame]) -> Iterator[Finding]:
    """Warn of a cloud in another frame: no other rule tells two cameras of one size apart."""
    (points, label), = partners(cloud.frames[-1:], labels)
    if points.frame_id != label.frame_id:
        yield cloud.warning(f'is in frame {points.frame_id!r}, the labels in {label.frame_id!r}: '
                            "a cloud in the depth camera's pixels gives each label another "
                            "pixel's point, so register it to the colour image "
                            '(depth_cloud.launch.py). All is well if both are frames of one '
                            'camera, as with ZED')


def _cloud_stamps(label: Topic, cloud: Topic) -> Iterator[Finding]:
    """Count which labels find a cloud by exact time, by approximate time alone, or not at all."""
    gaps_ns = _gaps([frame.stamp_ns for frame in label.frames],
                    [frame.stamp_ns for frame in cloud.frames])
    longest_ns = APPROXIMATE_MS * NS_PER_MS
    exact = [stamp for stamp, gap in gaps_ns.items() if gap == 0]
    near = [stamp for stamp, gap in gaps_ns.items() if 0 < gap <= longest_ns]
    far = [stamp for stamp, gap in gaps_ns.items() if gap > longest_ns]
    total = f'of {count_of(label.frames)}'
    if exact:
        yield label.ok(f'{len(exact)} {total} have the stamp of a cloud on {cloud.name}: paired '
                       'by exact and by approximate time')
    if near:
        yield label.warning(f'{len(near)} {total} have no cloud of equal stamp on {cloud.name}, '
                            f'but one within {APPROXIMATE_MS} ms, first {seconds(near[0])}, '
                            f'{_length(gaps_ns[near[0]])} off: used where the layer pairs by '
                            'approximate time (the default of Jazzy and later), never by exact '
                            'time (Humble, or use_approximate_time_sync: false), so '
                            + ('see where clouds are lost' if exact else
                               "give the cloud its colour image's stamp (register_node: "
                               'use_rgb_timestamp)'))
    if far:
        yield (label.warning if exact or near else label.error)(
            f'{len(far)} {total} have no cloud within {APPROXIMATE_MS} ms on {cloud.name}, first '
            f'{seconds(far[0])}, {_length(gaps_ns[far[0]])} off: the layer leaves them out, so '
            + ('see where clouds are lost, or publish one an image' if exact or near else
               'let depth and colour camera share one clock'))


def _length(time_ns: int) -> str:
    return f'{time_ns} ns' if time_ns < NS_PER_MS else f'{time_ns / NS_PER_MS:.1f} ms'


def _gaps(stamps_ns: Sequence[int], clouds_ns: Sequence[int]) -> dict[int, int]:
    """
    Return the interval from each stamp to the nearest cloud.

    Stamps before the first cloud and after the last are left out, since no cloud was seen then,
    unless there are no others.
    """
    clouds = sorted(set(clouds_ns))
    seen = [stamp for stamp in stamps_ns if clouds[0] <= stamp <= clouds[-1]]
    return {stamp: min(abs(stamp - cloud) for cloud in clouds) for stamp in seen or stamps_ns}
