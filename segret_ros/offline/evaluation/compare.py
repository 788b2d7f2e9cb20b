# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Two finished evaluations side by side: `segret_evaluate --compare A B`, and its gate."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from segret_ros.labels.label_set import class_difference
from segret_ros.offline.evaluation.compared_folder import Evaluation, Frames, pair, read_evaluation
from segret_ros.offline.evaluation.comparison import bounds, Comparison, Side
from segret_ros.offline.evaluation.differences import (
    area_differences,
    changed_frames,
    Difference,
    LEVEL,
    score_differences,
    value_differences,
)
from segret_ros.offline.evaluation.output import EvaluationError

WITHOUT_LABELS = 'a gate needs true labels: evaluate with --labels TOPIC or --labels FOLDER'
ROUNDING = 1e-9  # points that binary fractions may be off


def compare(folder_a: str | Path, folder_b: str | Path) -> Comparison:
    """
    Compare two output folders of `segret_evaluate` on the frames that both have.

    :param folder_a: of the reference.
    :param folder_b: of the candidate.
    :raises EvaluationError: for a folder that is not finished or damaged, different classes, or
        no frame in common.
    """
    evaluations = first, second = read_evaluation(folder_a), read_evaluation(folder_b)
    _check_classes(first, second)
    a, b = pair(first.frames, second.frames)
    if not len(a):
        raise EvaluationError(f'{second.folder} has no frame of {first.folder}: no bag, camera '
                              f'and stamp is the same ({_cameras(first.frames)} there, '
                              f'{_cameras(second.frames)} here); evaluate the same bags')
    labelled = a.labelled() & b.labelled()
    scores = score_differences(a.take(labelled), b.take(labelled), first.classes) \
        if labelled.any() else []
    return Comparison(
        *map(_side, evaluations), first.classes, first.colors,
        len(a), len(first.frames) - len(a), len(second.frames) - len(b),
        ''.join(letter for letter, one in zip('AB', evaluations)
                if not one.frames.labelled().any()),
        int(labelled.sum()), tuple(scores[:2]), tuple(scores[2:]),
        tuple(_behaviour(first, second, a, b)), tuple(area_differences(a, b, first.classes)),
        tuple(changed_frames(a, b, first.classes, by_score=bool(scores))),
        tuple(_notes(first, second)))


def gate(comparison: Comparison, fail_under: float | None = None,
         no_worse_than: float | None = None) -> list[str]:
    """
    Return a sentence for each rule that B breaks, by the values rather than their intervals.

    :param fail_under: percent that the mean IoU of B must reach.
    :param no_worse_than: points that neither the mean IoU nor a class's may lose.
    :raises EvaluationError: without true labels, or for a limit out of its range.
    """
    if no_worse_than is not None and not 0 <= no_worse_than <= 100:
        raise EvaluationError(f'--no-worse-than is {no_worse_than:g}: it must be from 0 to 100 '
                              'points')
    if fail_under is None and no_worse_than is None:
        return []
    if not comparison.scores:
        raise EvaluationError(_missing_labels(comparison))
    broken = [] if fail_under is None else _below(comparison.scores[0].b, fail_under, 'of B ')
    if no_worse_than is not None:
        broken += [_loss(one, no_worse_than)
                   for one in (comparison.scores[0], *comparison.ious)
                   if -one.points > no_worse_than + ROUNDING]
    return broken


def failures(metrics: dict, fail_under: float) -> list[str]:
    """
    Return a sentence if the mean IoU of one evaluation is too low.

    :param metrics: the content of its `metrics.json`.
    :param fail_under: percent that the mean IoU must reach.
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
    return (f'{name} of B is {-difference.points:.4g} points worse than of A '
            f'({difference.a:.2%} to {difference.b:.2%}), --no-worse-than allows {allowed:g}; '
            f'{_support(difference, allowed)}')


def _support(difference: Difference, allowed: float) -> str:
    """Return how far the interval supports a failed rule."""
    if difference.interval is None:
        return 'too few blocks of frames for an interval'
    told = f'the {LEVEL:.0%} interval {bounds(difference)}'
    high = 100 * difference.interval[1]
    if high < -allowed:
        return f'{told} supports it'
    return (f'{told} shows a loss, but not by so much' if high < 0
            else f'{told} holds zero: it may be chance')


def _missing_labels(comparison: Comparison) -> str:
    sides = {'A': comparison.a, 'B': comparison.b}
    without = ' and '.join(str(sides[letter].folder) for letter in comparison.unlabelled)
    if not without:
        return (f'no frame has true labels in both {comparison.a.folder} and '
                f'{comparison.b.folder}, and {WITHOUT_LABELS} of the same frames')
    return f'{without} has no true labels, and {WITHOUT_LABELS}'


def _check_classes(a: Evaluation, b: Evaluation) -> None:
    if difference := class_difference(a.classes, b.classes):
        raise EvaluationError(f'{b.folder} has other classes than {a.folder} ({difference}): only '
                              'models of the same classes can be compared')


def _cameras(frames: Frames) -> str:
    names = [' '.join(one) for one in frames.series[:3]]
    return ', '.join(names + ['...'] * (len(frames.series) > 3)) or 'no frames'


def _side(evaluation: Evaluation) -> Side:
    model = evaluation.model
    told = [str(model[key]) for key in ('variant', 'engine', 'device') if model.get(key)]
    topics = {(bag['name'], camera): topic for bag in evaluation.metrics.get('bags', [])
              for camera, topic in bag.get('label_topics', {}).items()}
    return Side(evaluation.folder, f'{model.get("name", "a model")} ({", ".join(told)})', topics)


def _behaviour(first: Evaluation, second: Evaluation, a: Frames, b: Frames) -> list[Difference]:
    """Compare what needs no true labels; steps between frames only if they are equally long."""
    stepwise = _options(first).get('every') == _options(second).get('every')
    names = ['stability', 'flicker'] if stepwise else []
    names.append('confidence')
    if np.nansum(a.unknown) or np.nansum(b.unknown):
        names.append('unknown')
    differences = value_differences(a, b, names)
    whole = len(a) == len(first.frames) == len(second.frames)
    if stepwise and whole:  # of all frames: no number a frame, and no interval
        differences[:0] = _consistency(first, second)
    return differences


def _consistency(first: Evaluation, second: Evaluation) -> Iterator[Difference]:
    told = [(one.metrics['all'].get('stability') or {}).get('consistency')
            for one in (first, second)]
    if None not in told:
        yield Difference('consistency', *told, None, 1)


def _notes(first: Evaluation, second: Evaluation) -> Iterator[str]:
    for letter, one in zip('AB', (first, second)):
        count = (one.metrics['all'].get('scores') or {}).get('matched_by_recording_time')
        if count:
            yield (f'{count:,} frames of {letter} have their true labels by the time of '
                   'recording, for their header stamps cannot be relied on.')
    hashes = [one.model.get('hash') for one in (first, second)]
    if hashes[0] is not None and hashes[0] == hashes[1]:
        yield 'A and B are of the same model file.'
    options = [_options(one) for one in (first, second)]
    other = [f'{name} is {options[0].get(name)} in A, {options[1].get(name)} in B'
             for name in sorted(options[0].keys() | options[1].keys())
             if options[0].get(name) != options[1].get(name)]
    if other:
        yield f'A and B have other options: {"; ".join(other)}.'
    if options[0].get('every') != options[1].get('every'):
        yield 'Stability and flicker are left out: their frames are differently far apart.'


def _options(evaluation: Evaluation) -> dict:
    return evaluation.metrics['options']
