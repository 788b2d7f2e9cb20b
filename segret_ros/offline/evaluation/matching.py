# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
Match frames with their true labels: by stamp, or by recording time.

A stamp says nothing if it is zero, or if the topic repeats it within a run of rising stamps: the
clock was never set, or stands still. Such messages are matched by recording time. It also
separates stamps that start again, as those of a simulation that ran twice.
"""

from array import array
from collections.abc import Iterable

import numpy as np
from segret_ros.offline.bags import Bag, serialized_stamp_ns
from segret_ros.offline.bags.cameras import COMPRESSED_IMAGE, IMAGE

TOLERANCE_NS = 10_000_000  # how far a frame and its label may lie apart
RESTART_NS = 1_000_000_000  # a stamp so far below an earlier one begins a new run
BY_STAMP, BY_TIME = 'stamp', 'time of recording'  # how a label was found
AMBIGUOUS = 'ambiguous: several labels or frames fit'
NONE, SEVERAL = -1, -2  # in place of a place
LATEST_NS = 4 * 10 ** 18  # of a time: no stamp is later, and differences stay within 64 bits


class _Ascending:
    """Places in ascending order of their values, (places,) int64 each."""

    def __init__(self, places: np.ndarray, values: np.ndarray) -> None:
        self._places = places[np.argsort(values[places], kind='stable')]
        self._values = values[self._places]

    def within(self, wanted: int, tolerance_ns: int) -> np.ndarray:
        """Return the places whose values are near one."""
        low = np.searchsorted(self._values, wanted - tolerance_ns)
        return self._places[low:np.searchsorted(self._values, wanted + tolerance_ns, 'right')]


class Moments:
    """
    When the messages of a topic, or the files of a folder, were taken and recorded.

    :param stamp_ns: (messages,) int64, in the order of recording.
    :param time_ns: (messages,) int64, when they were recorded; None for files, which have their
        names alone.
    """

    def __init__(self, stamp_ns: np.ndarray, time_ns: np.ndarray | None) -> None:
        self.stamp_ns = stamp_ns
        self.is_recorded = time_ns is not None
        self.time_ns = np.clip(stamp_ns if time_ns is None else time_ns, -LATEST_NS, LATEST_NS)
        self.runs, repeated = _runs(stamp_ns)
        self.zero, self.repeated = int((stamp_ns == 0).sum()), int(repeated.sum())
        self.is_void = (stamp_ns == 0) | (repeated & self.is_recorded)
        self._by_stamp = _Ascending(np.flatnonzero(~self.is_void), stamp_ns)
        self._by_time = _Ascending(np.arange(len(stamp_ns)), self.time_ns)
        self._void_by_time = _Ascending(np.flatnonzero(self.is_void), self.time_ns)

    def __len__(self) -> int:
        return len(self.stamp_ns)

    def oddities(self) -> dict[str, int]:
        """Return what is odd about the stamps, counted by kind; empty where they are sound."""
        counts = {'zero': self.zero, 'repeated': self.repeated, 'restarts': self.runs - 1}
        return {kind: count for kind, count in counts.items() if count > 0}

    def place(self, stamp_ns: int, time_ns: int) -> int:
        """Return the place of a message; `NONE` where there is none, `SEVERAL` for equal ones."""
        near = self._by_time.within(min(time_ns, LATEST_NS), 0)
        return _only(near[self.stamp_ns[near] == stamp_ns])

    def only(self, stamp_ns: int) -> int:
        """Return the place of the only message that has a stamp, else `NONE` or `SEVERAL`."""
        return _only(np.flatnonzero(self.stamp_ns == stamp_ns))

    def nearest(self, stamp_ns: int, time_ns: int, tolerance_ns: int) -> int:
        """Return the place of the message nearest to a stamp, else to a time; or `NONE`."""
        for ordered, values, wanted in ((self._by_stamp, self.stamp_ns, stamp_ns),
                                        (self._void_by_time, self.time_ns, time_ns)):
            near = ordered.within(wanted, tolerance_ns)
            if len(near):
                return int(near[np.abs(values[near] - wanted).argmin()])
        return NONE

    def partner(self, other: 'Moments', place: int) -> int:
        """Return the place in the other moments that fits one here best; `NONE` or `SEVERAL`."""
        stamp_ns, time_ns = int(self.stamp_ns[place]), int(self.time_ns[place])
        if not self.is_void[place]:
            near = other._by_stamp.within(stamp_ns, TOLERANCE_NS)
            if len(near):
                return self._best(other, near, stamp_ns, time_ns)
        recorded = other._by_time if self.is_void[place] else other._void_by_time
        return _only(recorded.within(time_ns, TOLERANCE_NS))

    def _best(self, other: 'Moments', near: np.ndarray, stamp_ns: int, time_ns: int) -> int:
        """Return which of some places of near stamps is meant."""
        away = np.abs(other.stamp_ns[near] - stamp_ns)
        if not away.min():
            near = near[away == 0]
        times = other.time_ns[near]
        if self.is_recorded and other.is_recorded:
            apart = np.abs(times - time_ns)
            near = near[apart <= apart.min() + RESTART_NS]  # of other runs none is
        elif np.ptp(times) > RESTART_NS:
            return SEVERAL
        for values, wanted in ((other.stamp_ns, stamp_ns), (other.time_ns, time_ns)):
            away = np.abs(values[near] - wanted)
            near = near[away == away.min()]
        return _only(near)


def match(frames: Moments, labels: Moments, stamp_ns: int, time_ns: int) -> tuple[int, str]:
    """
    Find the label that belongs to a frame and to no other.

    :return: its place with `BY_STAMP` or `BY_TIME`; else `NONE` with `AMBIGUOUS` or an empty text.
    """
    frame = frames.place(stamp_ns, time_ns)
    if frame < 0:
        return NONE, AMBIGUOUS
    label = frames.partner(labels, frame)
    back = labels.partner(frames, label) if label >= 0 else label
    if SEVERAL in (label, back):
        return NONE, AMBIGUOUS
    if back != frame:
        return NONE, ''
    return label, BY_TIME if frames.is_void[frame] or labels.is_void[label] else BY_STAMP


def read_moments(bag: Bag, topics: Iterable[str]) -> dict[str, Moments]:
    """Return when the images of some topics were taken and recorded; 16 bytes each are held."""
    found = {topic: (array('q'), array('q')) for topic in topics}
    for recorded in bag.messages(list(found)):
        stamp_ns = serialized_stamp_ns(recorded.data) \
            if recorded.type_name in (IMAGE, COMPRESSED_IMAGE) else None
        stamps, times = found[recorded.topic]
        stamps.append(recorded.time_ns if stamp_ns is None else stamp_ns)
        times.append(recorded.time_ns)
    return {topic: Moments(*(np.array(values, np.int64) for values in pair))
            for topic, pair in found.items()}


def _runs(stamp_ns: np.ndarray) -> tuple[int, np.ndarray]:
    """Return the number of runs of about rising stamps, and which stamps a run has twice."""
    runs, run, highest = np.zeros(len(stamp_ns), np.int64), 0, None
    for place, stamp in enumerate(stamp_ns.tolist()):
        if stamp and highest is not None and stamp < highest - RESTART_NS:
            run, highest = run + 1, stamp
        elif stamp:
            highest = stamp if highest is None else max(stamp, highest)
        runs[place] = run
    order = np.lexsort([stamp_ns, runs])
    equal = (np.diff(stamp_ns[order]) == 0) & (np.diff(runs[order]) == 0)
    repeated = np.zeros(len(stamp_ns), bool)
    repeated[order[1:][equal]] = repeated[order[:-1][equal]] = True
    return run + 1, repeated & (stamp_ns != 0)


def _only(places: np.ndarray) -> int:
    return int(places[0]) if len(places) == 1 else SEVERAL if len(places) else NONE
