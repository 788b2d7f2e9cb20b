# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Compare two finished evaluations: `segret_evaluate --compare A B`, and its limits for CI."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
import math
from pathlib import Path

import numpy as np
from segret_ros.labels.label_set import class_difference
from segret_ros.offline.evaluation.compared_folder import Evaluation, Frames, pair, read_evaluation
from segret_ros.offline.evaluation.differences import (
    BLOCK_NS,
    changed_frames,
    ChangedFrame,
    Difference,
    LEVEL,
    mean_differences,
    NO_DIFFERENCE,
    RESAMPLINGS,
    score_differences,
)
from segret_ros.offline.evaluation.output import EvaluationError, Json
from segret_ros.text_table import text_table

EXPLANATION = (f'The intervals cover the true difference in {LEVEL:.0%} of cases: a bootstrap of '
               f'{RESAMPLINGS} draws of {BLOCK_NS / 1e9:g} s blocks of a drive, the same for A '
               'and B. One in 20 measures that do not differ is called different by chance.')
BEHAVIOUR = {'stability': 1, 'flicker': -1, 'confidence': 0, 'unknown': 0}  # which way is good
WITHOUT_LABELS = 'a limit needs true labels: evaluate with --labels TOPIC or --labels FOLDER'
ROUNDING = 1e-9  # points that binary fractions may be off


@dataclass(frozen=True)
class Comparison:
    """
    Two evaluations on the frames that both have; A is the reference, B the candidate.

    :param labelled: frames that have true labels in both.
    :param scores: mean IoU and pixel accuracy; empty without true labels, as `ious` is.
    :param behaviour: stability, flicker, confidence: what needs no true labels.
    :param changed: the frames that changed most, the most changed first.
    """

    a: Evaluation
    b: Evaluation
    frames: int
    labelled: int
    scores: Sequence[Difference]
    ious: Sequence[Difference]
    behaviour: Sequence[Difference]
    areas: Sequence[Difference]
    changed: Sequence[ChangedFrame]

    def verdict(self) -> str:
        """Return whether B is better, in one sentence."""
        if not self.scores:
            return ('Without true labels neither can be called better; B: '
                    f'{_described(self.behaviour)}.')
        mean = self.scores[0]
        if not mean.interval:
            return (f'Too few frames for a verdict: mean IoU of B differs by {mean.points:+.2f} '
                    'points, without an interval.')
        claim = f'B is {mean.verdict} than A' if mean.sign else 'No difference shown'
        return (f'{claim}: mean IoU {mean.points:+.2f} points ({LEVEL:.0%} interval '
                f'{bounds(mean)}). Classes: {_described(self.ious)}.')

    def counts(self) -> str:
        """Return which frames are compared, in one sentence."""
        only_a, only_b = (len(one.frames) - self.frames for one in (self.a, self.b))
        return (f'{self.frames} frames in both, {only_a} only in A, {only_b} only in B; '
                f'{self.labelled} with true labels in both')

    def notes(self) -> list[str]:
        """Return what else a reader should know, in sentences."""
        a, b = self.a, self.b
        counts = [(one.metrics['all'].get('scores') or {}).get('matched_by_recording_time')
                  for one in (a, b)]
        found = [f'{count:,} frames of {letter} are matched with their true labels by recording '
                 'time, since their header stamps are unreliable.'
                 for letter, count in zip('AB', counts) if count]
        if a.model.get('hash') == b.model.get('hash') is not None:
            found.append('A and B are of the same model file.')
        different = [f'{name} is {a.options.get(name)} in A, {b.options.get(name)} in B'
                     for name in sorted(a.options.keys() | b.options.keys())
                     if a.options.get(name) != b.options.get(name)]
        if different:
            found.append(f'A and B have different options: {"; ".join(different)}.')
        if not _is_stepwise(a, b):
            found.append('Stability and flicker are left out: the frames of A and B are '
                         'differently far apart.')
        return found

    def table(self) -> str:
        """Return the text for the terminal."""
        rows = [(group + one.name, percent(one.a), percent(one.b), points(one), bounds(one),
                 one.verdict)
                for group, differences in (('', self.scores), ('IoU of ', self.ious),
                                           ('', self.behaviour), ('area of ', self.areas))
                for one in differences]
        parts = [[f'{letter}  {one.folder}: {one.title}'
                  for letter, one in (('A', self.a), ('B', self.b))]
                 + [self.counts(), *self.notes()],
                 [text_table(rows, ('', 'A', 'B', 'B - A', f'{LEVEL:.0%} interval', ''),
                             ['left', *['right'] * 4])],
                 [self.verdict(), EXPLANATION]]
        if self.changed:
            parts.append(['the frames that changed most', *(
                f'{frame.bag}  {frame.camera}  {frame.stamp}  {change(frame)}'
                for frame in self.changed)])
        return '\n\n'.join('\n'.join(lines) for lines in parts)


def compare(folder_a: str | Path, folder_b: str | Path) -> Comparison:
    """
    Compare two output folders of `segret_evaluate` on the frames that both have.

    :param folder_a: of the reference.
    :param folder_b: of the candidate.
    :raises EvaluationError: for a folder that is unfinished or damaged, different classes, or no
        frame in common.
    """
    first, second = read_evaluation(folder_a), read_evaluation(folder_b)
    if difference := class_difference(first.classes, second.classes):
        raise EvaluationError(f'{second.folder} has other classes than {first.folder} '
                              f'({difference}): only models of the same classes can be compared')
    a, b = pair(first.frames, second.frames)
    if not len(a):
        raise EvaluationError(f'{second.folder} has no frame of {first.folder}: no bag, camera '
                              f'and stamp is the same ({_cameras(first.frames)} there, '
                              f'{_cameras(second.frames)} here); evaluate the same bags')
    labelled = a.labelled() & b.labelled()
    scores = score_differences(a.take(labelled), b.take(labelled), first.classes) \
        if labelled.any() else []
    return Comparison(
        first, second, len(a), int(labelled.sum()), scores[:2], scores[2:],
        list(_behaviour(first, second, a, b)),
        mean_differences(a, a.areas, b.areas, dict.fromkeys(first.classes, 0)),
        changed_frames(a, b, first.classes, by_score=bool(scores)))


def broken_limits(comparison: Comparison, fail_under: float | None = None,
                  no_worse_than: float | None = None) -> list[str]:
    """
    Return a sentence for each limit that B breaks, by the values rather than their intervals.

    :param fail_under: percent that the mean IoU of B must reach.
    :param no_worse_than: points that neither the mean IoU nor any class's may lose.
    :raises EvaluationError: without true labels, or for a limit out of its range.
    """
    if no_worse_than is not None and not 0 <= no_worse_than <= 100:
        raise EvaluationError(f'--no-worse-than is {no_worse_than:g}: it must be from 0 to 100 '
                              'points')
    if fail_under is None and no_worse_than is None:
        return []
    if not comparison.scores:
        raise EvaluationError(_missing_labels(comparison.a, comparison.b))
    broken = [] if fail_under is None else _below(comparison.scores[0].b, fail_under, 'of B ')
    if no_worse_than is not None:
        broken += [_loss(one, no_worse_than)
                   for one in (comparison.scores[0], *comparison.ious)
                   if -one.points > no_worse_than + ROUNDING]
    return broken


def below_limit(metrics: Json, fail_under: float) -> list[str]:
    """
    Return a sentence if the mean IoU of one evaluation is too low.

    :raises EvaluationError: without true labels, or for a limit out of its range.
    """
    scores = metrics['all']['scores']
    if scores is None or scores['mean_iou'] is None:
        raise EvaluationError(f'there is no mean IoU, and {WITHOUT_LABELS}')
    return _below(scores['mean_iou'], fail_under, '')


def _below(mean_iou: float, fail_under: float, whose: str) -> list[str]:
    if not 1 < fail_under <= 100:
        raise EvaluationError(f'--fail-under is {fail_under:g}: it must be above 1 and up to 100, '
                              'in percent (69, not 0.69)')
    missing = fail_under - 100 * mean_iou
    if missing <= ROUNDING:
        return []
    return [f'mean IoU {whose}is {mean_iou:.2%}, {missing:.2g} points below the {fail_under:g}% '
            'of --fail-under']


def _loss(difference: Difference, allowed: float) -> str:
    name = difference.name if difference.name == 'mean IoU' else f'IoU of {difference.name}'
    loss = (f'{name} of B is {-difference.points:.4g} points worse than of A '
            f'({difference.a:.2%} to {difference.b:.2%}), --no-worse-than allows {allowed:g}; ')
    if difference.interval is None:
        return loss + 'too few blocks of frames for an interval'
    loss += f'the {LEVEL:.0%} interval {bounds(difference)} '
    high = 100 * difference.interval[1]
    if high < -allowed:
        return loss + 'supports it'
    return loss + ('shows a loss, but not by so much' if high < 0
                   else 'contains zero: it may be chance')


def _missing_labels(a: Evaluation, b: Evaluation) -> str:
    without = [str(one.folder) for one in (a, b) if not one.frames.labelled().any()]
    if without:
        return f'{" and ".join(without)} has no true labels, and {WITHOUT_LABELS}'
    return (f'no frame has true labels in both {a.folder} and {b.folder}, and {WITHOUT_LABELS} of '
            'the same frames')


def _cameras(frames: Frames) -> str:
    names = [' '.join(one) for one in frames.series[:3]]
    return ', '.join(names + ['...'] * (len(frames.series) > 3)) or 'no frames'


def _is_stepwise(a: Evaluation, b: Evaluation) -> bool:
    """Return whether steps from frame to frame are equally long in both."""
    return a.options.get('every') == b.options.get('every')


def _behaviour(first: Evaluation, second: Evaluation, a: Frames,
               b: Frames) -> Iterator[Difference]:
    """Compare what needs no true labels."""
    names = ['confidence']
    if _is_stepwise(first, second):
        names[:0] = ['stability', 'flicker']
        of_a, of_b = ((one.metrics['all'].get('stability') or {}).get('consistency')
                      for one in (first, second))
        if len(a) == len(first.frames) == len(second.frames) and None not in (of_a, of_b):
            # Of all frames together: there is no value for each, and so no interval.
            yield Difference('consistency', of_a or 0, of_b or 0, None, 1)
    if np.nansum(a.unknown) or np.nansum(b.unknown):
        names.append('unknown')
    values = [np.column_stack([getattr(frames, name) for name in names]) for frames in (a, b)]
    yield from mean_differences(a, values[0], values[1], {name: BEHAVIOUR[name] for name in names})


def percent(share: float) -> str:
    """Format a share; a dash for NaN."""
    return '-' if math.isnan(share) else f'{share:.2%}'


def points(difference: Difference) -> str:
    """Format a difference in points; a dash for NaN."""
    return '-' if math.isnan(difference.points) else f'{difference.points:+.2f}'


def bounds(difference: Difference) -> str:
    """Format an interval in points; a dash for none."""
    if difference.interval is None:
        return '-'
    return ' to '.join(f'{100 * bound:+.2f}' for bound in difference.interval)


def change(frame: ChangedFrame) -> str:
    """Describe how a frame changed, in a few words."""
    area = f'{frame.class_name} {percent(frame.area_a)} to {percent(frame.area_b)} of the pixels'
    if math.isnan(frame.miou_a):
        return f'{percent(frame.moved)} moved, most: {area}'
    return (f'mean IoU {percent(frame.miou_a)} to {percent(frame.miou_b)} '
            f'({100 * (frame.miou_b - frame.miou_a):+.2f}), {area}')


def _described(differences: Sequence[Difference]) -> str:
    """Describe the differences shown, such as `better in car, sky; worse in tree`."""
    groups: dict[str, list[str]] = {}
    for difference in differences:
        if difference.sign:
            groups.setdefault(difference.verdict, []).append(difference.name)
    return '; '.join(f'{verdict} in {", ".join(names)}'
                     for verdict, names in groups.items()) or NO_DIFFERENCE
