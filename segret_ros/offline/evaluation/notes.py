# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Notes on the numbers of an evaluation, in sentences, for terminal and page alike."""

from collections.abc import Iterator, Mapping, Sequence

from segret_ros.offline.evaluation.output import Json
from segret_ros.offline.evaluation.tally import reasons, REJECTED, UNSCORED
from segret_ros.offline.label_names import HOW_TO_TELL

MOST = 5  # reasons in one sentence
MOST_CLASSES = 12
ODD = {'zero': 'zero', 'repeated': 'repeated', 'restarts': 'starting again'}


def notes(metrics: Json) -> list[str]:
    """Return what limits or explains the numbers of `metrics.json`, the most serious first."""
    return [*_faults(metrics, REJECTED, 'was', 'were', 'not labelled'),
            *_faults(metrics, UNSCORED, 'has a true label that', 'have true labels that',
                     'cannot be scored against'),
            *_matching(metrics), *_classes(metrics),
            *(f'{bag["name"]}: {remark}.' for bag in metrics['bags']
              for remark in bag.get('remarks', ()))]


def failures_of(metrics: Json) -> list[str]:
    """Return a sentence for each bag without labels, and one where no frame is scored."""
    found = [sentence for bag in metrics['bags'] if 'error' not in bag
             for sentence in _unlabelled(bag)]
    scores = metrics['all']['scores']
    if scores and not scores['matched'] and not found:
        found.append(f'no frame could be scored: {_why_unscored(scores)}')
    return found


def _faults(metrics: Json, kind: str, one: str, several: str, what: str) -> Iterator[str]:
    faults = [fault for bag in metrics['bags'] for fault in bag['faults']
              if fault['kind'] == kind]
    total = sum(fault['count'] for fault in faults)
    if total:
        yield (f'{total:,} {"frame" if total == 1 else "frames"} '
               f'{one if total == 1 else several} {what}: {listed(reasons(faults, kind))}. The '
               f'first: {faults[0]["first"]}.')


def listed(counts: Mapping[str, int]) -> str:
    """List the most frequent reasons with their counts."""
    texts = [f'{reason} ({count:,})' for reason, count in list(counts.items())[:MOST]]
    return ', '.join(texts + ['...'] * (len(counts) > MOST))


def _matching(metrics: Json) -> Iterator[str]:
    scores = metrics['all']['scores']
    if not scores or not scores['matched_by_recording_time']:
        return
    yield (f'{scores["matched_by_recording_time"]:,} of {scores["matched"]:,} scored frames were '
           f'matched with their true labels by recording time (within '
           f'{scores["tolerance_ms"]:g} ms), since their header stamps are unreliable: '
           f'{_odd_stamps(metrics["bags"])}.')


def _odd_stamps(bags: list[Json]) -> str:
    """Describe how many stamps of images and labels are odd."""
    total = {(what, kind): 0 for what in ('images', 'labels') for kind in ODD}
    for bag in bags:
        for camera in bag.get('odd_stamps', {}).values():
            for what, kinds in camera.items():
                for kind, count in kinds.items():
                    total[what, kind] += count
    return ', '.join(f'{count:,} of the {what} {ODD[kind]}'
                     for (what, kind), count in total.items() if count)


def _classes(metrics: Json) -> Iterator[str]:
    assumed = [bag['name'] for bag in metrics['bags'] if bag.get('classes_named') is False]
    scores = metrics['all']['scores']
    if not assumed or not scores or not scores['matched']:
        return
    yield assumed_classes(metrics['model']['classes'])


def assumed_classes(names: Sequence[str]) -> str:
    """Return that the classes of a model are taken for those of the true labels."""
    texts = [f'{index} {name}' for index, name in enumerate(names)]
    if len(texts) > MOST_CLASSES:
        texts = [*texts[:MOST_CLASSES - 1], '...', texts[-1]]
    return ('The true labels name no classes; those of the model are assumed: '
            f'{", ".join(texts)}. {HOW_TO_TELL}.')


def _unlabelled(bag: Json) -> Iterator[str]:
    rejected = reasons(bag['faults'], REJECTED)
    if not bag['frames']:
        yield f'{bag["name"]}: no frame in the requested span'
    elif sum(rejected.values()) == bag['frames']:
        yield (f'{bag["name"]}: none of its {bag["frames"]:,} frames could be labelled: '
               f'{listed(rejected)}')


def _why_unscored(scores: Json) -> str:
    found = dict(scores['unscored'])
    if scores['unmatched']:
        found[f'no true label within {scores["tolerance_ms"]:g} ms'] = scores['unmatched']
    return f'{listed(found)}; {scores["unmatched_labels"]:,} true labels belong to no frame'
