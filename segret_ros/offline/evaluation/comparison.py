# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""What a comparison finds, and how the terminal shows it."""

from collections.abc import Sequence
from dataclasses import dataclass
import math
from pathlib import Path

from segret_ros.offline.evaluation.differences import (
    BLOCK_NS,
    ChangedFrame,
    Difference,
    LEVEL,
    NO_DIFFERENCE,
    RESAMPLINGS,
)
from segret_ros.text_table import text_table

EXPLANATION = (f'Intervals hold the true difference in {LEVEL:.0%} of all cases: bootstrap of '
               f'{RESAMPLINGS} draws of blocks of {BLOCK_NS / 1e9:g} s of a drive, the same for '
               'A and B. One of 20 measures that do not differ is called different by chance.')


@dataclass(frozen=True)
class Side:
    """
    One of the two evaluations.

    :param model: name of the model and what it ran on.
    :param label_topics: topics of labels in `result.mcap`, by bag and camera.
    """

    folder: Path
    model: str
    label_topics: dict[tuple[str, str], str]


@dataclass(frozen=True)
class Comparison:
    """
    Two evaluations on the frames that both have; A is the reference, B the candidate.

    :param classes: names in id order.
    :param colors: RGB 0..255, one a class.
    :param frames, only_a, only_b: how many are in both, or without a partner.
    :param unlabelled: the evaluations, of A and B, in which no frame has true labels.
    :param labelled: frames that have true labels in both.
    :param scores: mean IoU and pixel accuracy; empty without true labels, as `ious` is.
    :param ious: one a class.
    :param behaviour: stability, flicker, confidence: what needs no true labels.
    :param areas: share of the pixels, one a class.
    :param changed: the frames that changed most, the most changed first.
    :param notes: what a reader should know of it, sentence by sentence.
    """

    a: Side
    b: Side
    classes: tuple[str, ...]
    colors: tuple[tuple[int, int, int], ...]
    frames: int
    only_a: int
    only_b: int
    unlabelled: str
    labelled: int
    scores: tuple[Difference, ...]
    ious: tuple[Difference, ...]
    behaviour: tuple[Difference, ...]
    areas: tuple[Difference, ...]
    changed: tuple[ChangedFrame, ...]
    notes: tuple[str, ...]

    def verdict(self) -> str:
        """Return whether B is better, in one sentence."""
        if not self.scores:
            return ('Without true labels nothing tells which is better; B: '
                    f'{_described(self.behaviour)}.')
        mean = self.scores[0]
        if not mean.interval:
            return (f'Too few frames to tell: mean IoU of B differs by {mean.points:+.2f} points, '
                    'without an interval.')
        claim = f'B is {mean.verdict} than A' if mean.sign else 'No difference shown'
        return (f'{claim}: mean IoU {mean.points:+.2f} points ({LEVEL:.0%} interval '
                f'{bounds(mean)}). Classes: {_described(self.ious)}.')

    def counts(self) -> str:
        """Return which frames are compared, in one sentence."""
        return (f'{self.frames} frames in both, {self.only_a} only in A, {self.only_b} only in B; '
                f'{self.labelled} with true labels in both')

    def table(self) -> str:
        """Return the text for the terminal."""
        parts = [[f'{letter}  {side.folder}: {side.model}'
                  for letter, side in (('A', self.a), ('B', self.b))]
                 + [self.counts(), *self.notes],
                 _rows([('', self.scores), ('IoU of ', self.ious), ('', self.behaviour),
                        ('area of ', self.areas)]),
                 [self.verdict(), EXPLANATION]]
        if self.changed:
            parts.append(['the frames that changed most', *map(_frame_line, self.changed)])
        return '\n\n'.join('\n'.join(lines) for lines in parts)


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
    score = (f'mean IoU {percent(frame.miou_a)} to {percent(frame.miou_b)} '
             f'({100 * (frame.miou_b - frame.miou_a):+.2f})')
    return f'{score}, {area}'


def _described(differences: Sequence[Difference]) -> str:
    """Describe what differs for certain, such as `better in car, sky; worse in tree`."""
    groups: dict[str, list[str]] = {}
    for difference in differences:
        if difference.sign:
            groups.setdefault(difference.verdict, []).append(difference.name)
    told = [f'{verdict} in {", ".join(names)}' for verdict, names in groups.items()]
    return '; '.join(told) or NO_DIFFERENCE


def _rows(groups: Sequence[tuple[str, Sequence[Difference]]]) -> list[str]:
    """Return a line for each difference, under a heading; a group's word precedes its names."""
    named = [(word + one.name, one) for word, differences in groups for one in differences]
    rows = [(name, percent(one.a), percent(one.b), points(one), bounds(one), one.verdict)
            for name, one in named]
    headers = ('', 'A', 'B', 'B - A', f'{LEVEL:.0%} interval', '')
    return text_table(rows, headers, ['left', *['right'] * 4]).splitlines()


def _frame_line(frame: ChangedFrame) -> str:
    return f'{frame.bag}  {frame.camera}  {frame.stamp}  {change(frame)}'
