# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""What is counted of frames, in integers: parts of a drive add up to the same in any order."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np
from segret_ros.labels.metrics import Scores
from segret_ros.offline.evaluation.stability import StabilityTally, Step

CONFIDENCE_BARS = 20  # of the histogram, from 0 to 1
PROBLEM = 'problem '  # before a kind in the names of the arrays
REJECTED, UNSCORED = 'rejected', 'unscored'  # frames without labels, and those without a score
MOST_REASONS = 50  # of a bag; what is in the data can make more
LONGEST = 200  # characters of a reason
OTHER = 'other reasons'


class Tally:
    """
    The counts of one camera.

    :param num_classes: classes, ids 0..num_classes - 1.
    """

    def __init__(self, num_classes: int) -> None:
        self.frames = 0
        self.problems: Counter[str] = Counter()
        self.confidence = np.zeros(256, np.int64)  # pixels by confidence
        self.labels = np.zeros(256, np.int64)  # pixels by label
        self.stability = StabilityTally(num_classes)
        self.scores = Scores(num_classes)
        self.matched = 0  # frames with a true label
        self.by_time = 0  # of these, matched by the time of recording
        self.unusable = 0  # frames with a true label that is of no use
        self.ambiguous = 0  # frames that several true labels fit, or a label of several frames
        self._num_classes = num_classes

    def add(self, problem: str) -> None:
        """Count a frame, with the kind of its problem or an empty one."""
        self.frames += 1
        if problem:
            self.problems[problem] += 1

    def add_labels(self, labels: np.ndarray, confidence: np.ndarray, step: Step | None) -> None:
        """
        Count the labels of a frame.

        :param labels: pixels by label, (256,) int64.
        :param confidence: pixels by confidence, (256,) int64.
        :param step: from the camera's last frame, if there is one.
        """
        self.labels += labels
        self.confidence += confidence
        if step is not None:
            self.stability.add(step)

    def merge(self, other: 'Tally') -> None:
        """Add another camera's or part's counts."""
        mine = self.arrays()
        for name, array in other.arrays().items():
            mine[name] = mine.get(name, 0) + array
        self._set(mine)

    def arrays(self) -> dict[str, np.ndarray]:
        """Return all counts as int64 arrays by name."""
        scores = self.scores
        return {
            'counts': np.array([self.frames, self.matched, self.by_time, self.unusable,
                                self.ambiguous], np.int64),
            **{PROBLEM + kind: np.array(count, np.int64)
               for kind, count in self.problems.items()},
            'confidence': self.confidence, 'labels': self.labels,
            **{f'stability {name}': array for name, array in self.stability.arrays().items()},
            'confusion': scores.confusion.counts,
            'boundary images': scores.boundary.images, 'boundary sums': scores.boundary.sums,
            'calibration counts': scores.calibration.counts,
            'calibration hits': scores.calibration.hits,
            'calibration sums': scores.calibration.sums}

    @classmethod
    def of(cls, arrays: Mapping[str, np.ndarray], num_classes: int) -> 'Tally':
        """Return the counts that `arrays` came from."""
        tally = cls(num_classes)
        tally._set(arrays)
        return tally

    def _set(self, arrays: Mapping[str, np.ndarray]) -> None:
        (self.frames, self.matched, self.by_time, self.unusable,
         self.ambiguous) = map(int, arrays['counts'])
        self.problems = Counter({name.removeprefix(PROBLEM): int(array)
                                 for name, array in arrays.items() if name.startswith(PROBLEM)})
        self.confidence, self.labels = arrays['confidence'], arrays['labels']
        self.stability = StabilityTally.from_arrays(
            {name.removeprefix('stability '): array for name, array in arrays.items()
             if name.startswith('stability ')})
        scores = self.scores
        scores.confusion.counts = arrays['confusion']
        scores.boundary.images, scores.boundary.sums = (
            arrays['boundary images'], arrays['boundary sums'])
        scores.calibration.counts, scores.calibration.hits, scores.calibration.sums = (
            arrays[f'calibration {name}'] for name in ('counts', 'hits', 'sums'))

    def as_json(self, names: Sequence[str], labels: int | None, tolerance_ms: float,
                rejected: Mapping[str, int], unscored: Mapping[str, int]) -> dict:
        """
        Return the summary for metrics.json.

        :param names: of the classes.
        :param labels: true labels that there are, or None without any.
        :param tolerance_ms: within which frames and true labels are matched.
        :param rejected, unscored: frames without labels, and with a true label that can't be
            scored against, by reason.
        """
        pixels = int(self.labels.sum())
        classes = self.labels[:self._num_classes].tolist()
        confidence = int(self.confidence @ np.arange(256))
        return {
            'frames': self.frames,
            'problems': dict(sorted(self.problems.items())),
            'rejected': dict(rejected),
            'mean_confidence': confidence / (255 * pixels) if pixels else None,
            'unknown_share': 1 - sum(classes) / pixels if pixels else None,
            'class_areas': {name: count / pixels if pixels else None
                            for name, count in zip(names, classes)},
            'confidence_histogram': self._bars(),
            'stability': self.stability.as_json(names),
            'scores': None if labels is None else {
                'matched': self.matched, 'matched_by_recording_time': self.by_time,
                'unmatched': self.frames - self.matched - self.unusable - self.ambiguous,
                'unscored': dict(unscored),
                'unmatched_labels': labels - self.matched - self.unusable,
                'tolerance_ms': tolerance_ms,
                **self.scores.as_json(names)}}

    def _bars(self) -> list[int]:
        bar = np.minimum(np.arange(256) * CONFIDENCE_BARS // 255, CONFIDENCE_BARS - 1)
        bars = np.zeros(CONFIDENCE_BARS, np.int64)
        np.add.at(bars, bar, self.confidence)
        return bars.tolist()


def histogram(values: np.ndarray) -> np.ndarray:
    """Count each of 0..255 in a uint8 array, (256,) int64."""
    return np.bincount(values.ravel(), minlength=256)


@dataclass
class Fault:
    """
    What befell some frames of a camera.

    :param kind: `REJECTED` or `UNSCORED`.
    :param first: where the first of them is, and what is wrong there.
    """

    camera: str
    kind: str
    reason: str
    count: int
    first: str


class Faults:
    """The faults of one bag, in the order in which they were met."""

    def __init__(self) -> None:
        self._found: dict[tuple[str, str, str], Fault] = {}

    def add(self, camera: str, kind: str, reason: str, first: str, count: int = 1) -> None:
        """Count frames."""
        key = camera, kind, reason
        if key not in self._found and len(self._found) >= MOST_REASONS:
            reason, key = OTHER, (camera, kind, OTHER)
        self._found.setdefault(key, Fault(camera, kind, reason, 0, first)).count += count

    def as_json(self) -> list[dict]:
        """Return them as JSON values."""
        return [asdict(fault) for fault in self._found.values()]

    def add_json(self, faults: Iterable[dict]) -> None:
        """Add what `as_json` returned."""
        for fault in faults:
            self.add(**fault)


def short(reason: str) -> str:
    """Return a reason as one line of printable text."""
    text = ' '.join(reason.split())
    return ''.join(char if char.isprintable() else '\ufffd' for char in text)[:LONGEST]


def counts(faults: Iterable[dict], kind: str, camera: str | None = None) -> dict[str, int]:
    """Return the frames of a kind by reason, the most first; of one camera or of all."""
    found: Counter[str] = Counter()
    for fault in faults:
        if fault['kind'] == kind and camera in (None, fault['camera']):
            found[fault['reason']] += fault['count']
    return dict(sorted(found.items(), key=lambda item: (-item[1], item[0])))
