# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Counts over frames, in integers, so that the parts of a drive add up in any order."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from segret_ros.labels.metrics import Scores
from segret_ros.offline.evaluation.matching import TOLERANCE_NS
from segret_ros.offline.evaluation.output import Json
from segret_ros.offline.evaluation.stability import StabilityTally, Step

CONFIDENCE_BARS = 20  # of the histogram, from 0 to 1
COUNT, PROBLEM = 'count ', 'problem '  # before the names of arrays, and of kinds in `counts`
REJECTED, UNSCORED = 'rejected', 'unscored'  # frames without labels, and frames without a score
MOST_REASONS = 50  # of a bag; its data can make up any number
LONGEST = 200  # characters of a reason
OTHER = 'other reasons'


class Tally:
    """The counts of one camera."""

    def __init__(self, num_classes: int) -> None:
        # `frames`, those with a problem by its kind, and of those with a true label `matched` ones
        # (of these `by_time` by the time of recording), `unusable` and `ambiguous` ones.
        self.counts: Counter[str] = Counter()
        self.confidence = np.zeros(256, np.int64)  # pixels by confidence
        self.labels = np.zeros(256, np.int64)  # pixels by label
        self.stability = StabilityTally(num_classes)
        self.scores = Scores(num_classes)
        self._num_classes = num_classes

    def add(self, problem: str) -> None:
        """Count a frame, with the kind of its problem or an empty one."""
        self.counts['frames'] += 1
        if problem:
            self.counts[PROBLEM + problem] += 1

    def add_labels(self, labels: np.ndarray, confidence: np.ndarray, step: Step | None) -> None:
        """
        Count the labels of a frame.

        :param labels: pixels by label, (256,) int64.
        """
        self.labels += labels
        self.confidence += confidence
        if step is not None:
            self.stability.add(step)

    def merge(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Add what `arrays` returned for another camera or part."""
        for name, array in self._arrays().items():
            array += arrays[name]
        self.counts.update({name.removeprefix(COUNT): int(array) for name, array in arrays.items()
                            if name.startswith(COUNT)})

    def arrays(self) -> dict[str, np.ndarray]:
        """Return all counts as int64 arrays by name."""
        return self._arrays() | {COUNT + name: np.array(count, np.int64)
                                 for name, count in self.counts.items()}

    def _arrays(self) -> dict[str, np.ndarray]:
        scores = self.scores
        return {'confidence': self.confidence, 'labels': self.labels,
                'steps': self.stability.counts, 'step confusion': self.stability.confusion.counts,
                'confusion': scores.confusion.counts,
                'boundary images': scores.boundary.images, 'boundary sums': scores.boundary.sums,
                'calibration counts': scores.calibration.counts,
                'calibration hits': scores.calibration.hits,
                'calibration sums': scores.calibration.sums}

    def as_json(self, names: Sequence[str], labels: int | None, faults: Iterable[Json],
                camera: str | None = None) -> Json:
        """
        Return the summary for metrics.json.

        :param labels: true labels that there are, or None without any.
        :param camera: whose faults count; None for all of them.
        """
        pixels = int(self.labels.sum())
        classes = self.labels[:self._num_classes].tolist()
        confidence = int(self.confidence @ np.arange(256))
        counts = self.counts
        return {
            'frames': counts['frames'],
            'problems': {name.removeprefix(PROBLEM): count for name, count
                         in sorted(counts.items()) if name.startswith(PROBLEM)},
            'rejected': reasons(faults, REJECTED, camera),
            'mean_confidence': confidence / (255 * pixels) if pixels else None,
            'unknown_share': 1 - sum(classes) / pixels if pixels else None,
            'class_areas': {name: count / pixels if pixels else None
                            for name, count in zip(names, classes)},
            'confidence_histogram': self._bars(),
            'stability': self.stability.as_json(names),
            'scores': None if labels is None else {
                'matched': counts['matched'], 'matched_by_recording_time': counts['by_time'],
                'unmatched': counts['frames'] - counts['matched'] - counts['unusable']
                - counts['ambiguous'],
                'unscored': reasons(faults, UNSCORED, camera),
                'unmatched_labels': labels - counts['matched'] - counts['unusable'],
                'tolerance_ms': TOLERANCE_NS / 1e6,
                **self.scores.as_json(names)}}

    def _bars(self) -> list[int]:
        bar = np.minimum(np.arange(256) * CONFIDENCE_BARS // 255, CONFIDENCE_BARS - 1)
        bars = np.zeros(CONFIDENCE_BARS, np.int64)
        np.add.at(bars, bar, self.confidence)
        return bars.tolist()


def histogram(values: np.ndarray) -> np.ndarray:
    """Count each of 0..255 in a uint8 array, (256,) int64."""
    return np.bincount(values.ravel(), minlength=256)


class Faults:
    """Why frames of one bag have no labels or no score, in the order in which it was met."""

    def __init__(self) -> None:
        self._found: dict[tuple[str, str, str], Json] = {}

    def add(self, camera: str, kind: str, reason: str, first: str, count: int = 1) -> None:
        """
        Count frames.

        :param kind: `REJECTED` or `UNSCORED`.
        :param first: where the first of them is, and what is wrong there.
        """
        if (camera, kind, reason) not in self._found and len(self._found) >= MOST_REASONS:
            reason = OTHER
        new = {'camera': camera, 'kind': kind, 'reason': reason, 'count': 0, 'first': first}
        self._found.setdefault((camera, kind, reason), new)['count'] += count

    def as_json(self) -> list[Json]:
        """Return them as JSON values, each what `add` takes."""
        return list(self._found.values())


def short(reason: str) -> str:
    """Return a reason as one line of printable text."""
    text = ' '.join(reason.split())
    return ''.join(char if char.isprintable() else '\ufffd' for char in text)[:LONGEST]


def reasons(faults: Iterable[Json], kind: str, camera: str | None = None) -> dict[str, int]:
    """Return the frames of a kind by reason, the most first; of one camera or of all."""
    found: Counter[str] = Counter()
    for fault in faults:
        if fault['kind'] == kind and camera in (None, fault['camera']):
            found[fault['reason']] += fault['count']
    return dict(sorted(found.items(), key=lambda item: (-item[1], item[0])))
