# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""The report of an evaluation, as one HTML file."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from segret_ros.labels.metrics import ConfusionMatrix
from segret_ros.offline.charts import confusion_chart
from segret_ros.offline.evaluation.notes import notes
from segret_ros.offline.evaluation.output import Json, time_text, timeline
from segret_ros.offline.evaluation.report_plots import (
    calibration_plot,
    confidence_plot,
    drive_plots,
    LARGEST_AREAS,
)
from segret_ros.offline.evaluation.thumbnails import FILMSTRIP, LEAST_CERTAIN, WORST
from segret_ros.offline.page import embedded, hex_color, write_page
from segret_ros.offline.pictures import Thumb

STAGES = {'decode': 'decode the image', 'check': 'check the camera',
          'resize': "resize to the network's input", 'network': 'run the network',
          'labels': 'find the class of each pixel', 'confidence': 'compute the confidence'}
FRAME_COLUMNS = ('bag', 'camera', 'time_ns', 'problem', 'confidence', 'unknown', 'stability',
                 'flicker', 'change', 'miou')
CLASSES_IN_MATRIX = 40
MIX_UPS = 8
MANY_CLASSES = 30  # from here on a list of classes scrolls
MOST_LINES = 30  # of a table of bags or damage
ABSENT = '–'


def columns_needed(metrics: Json) -> list[str]:
    """Return the columns of `frames.csv` that `write_report` takes."""
    return [*FRAME_COLUMNS, *(f'{stage}_ms' for stage in STAGES),
            *(f'area_{name}' for name in largest_classes(metrics['all']))]


def largest_classes(summary: Json) -> list[str]:
    """Return the classes with the largest areas, the largest first."""
    areas = {name: area for name, area in summary['class_areas'].items() if area}
    return sorted(areas, key=areas.__getitem__, reverse=True)[:LARGEST_AREAS]


def write_report(path: Path, metrics: Json, columns: dict[str, np.ndarray], run: Json,
                 realtime: Json | None, pictures: Mapping[str, Sequence[Thumb]]) -> None:
    """
    Write the page, whole or not at all.

    :param columns: `columns_needed` of `frames.csv`.
    :param pictures: of the frames of `frames_to_show`, under the same names.
    """
    summary, times = metrics['all'], timeline(columns)
    scores = score_content(summary, metrics['model']['classes'])
    colors = {name: hex_color(color) for name, color in zip(metrics['model']['classes'],
                                                            metrics['model']['colors'])}
    duration = time_text(times.duration_s)
    write_page(
        path, 'segret_ros.offline.evaluation', model=metrics['model'], summary=summary,
        drive=bag_text(metrics['bags']), sentences=sentences(metrics, duration),
        tiles=tiles(metrics, duration), cameras=camera_rows(metrics['cameras']),
        damage=bag_rows(metrics['bags'], 'damage'), faults=bag_rows(metrics['bags'], 'faults'),
        bags=metrics['bags'], most=MOST_LINES,
        drives=drive_charts(metrics, columns, colors), histogram=confidence_plot(summary),
        sure=sure_text(summary), classes=class_rows(summary, colors), many=MANY_CLASSES,
        colors=colors, scores=scores,
        stages=stage_rows(columns), realtime=realtime and realtime_content(realtime),
        pictures=picture_groups(pictures, scores is not None),
        command=run.get('command', ''), facts=facts(metrics, run))


def share(value: float | None) -> str:
    """Format a share 0..1 in percent."""
    return ABSENT if value is None else f'{100 * value:.1f} %'


def count_text(count: int, noun: str) -> str:
    """Format a count with its noun."""
    return f'{count:,} {noun}' if count == 1 else f'{count:,} {noun}s'


def bag_text(bags: list[Json]) -> str:
    """Return the name of the bag, or how many there are."""
    return bags[0]['name'] if len(bags) == 1 else count_text(len(bags), 'bag')


def sentences(metrics: Json, duration: str) -> list[str]:
    """Summarize the evaluation in sentences."""
    summary = metrics['all']
    return [f'{metrics["model"]["name"]} labelled {count_text(summary["frames"], "frame")} of '
            f'{count_text(len(metrics["cameras"]), "camera")}: {duration} of driving.',
            *_quality(summary), *_stability(summary), _problems(summary), *notes(metrics),
            *_damage(metrics['bags'])]


def _quality(summary: Json) -> list[str]:
    scores = summary['scores']
    if not scores or not scores['matched']:
        start = 'No frame has a true label to score against' if scores else \
            'There are no true labels'
        return [f'{start}, so this page shows how stable and how certain the labels are, but '
                'not how accurate.']
    text = (f'Against the true labels of {count_text(scores["matched"], "frame")} the mean IoU is '
            f'{share(scores["mean_iou"])}, and {share(scores["pixel_accuracy"])} of the pixels '
            'are correct.')
    known = [item for item in scores['classes'] if item['iou'] is not None]
    known.sort(key=lambda item: item['iou'])
    if len(known) > 1:
        text += (f' Best is {known[-1]["name"]} ({share(known[-1]["iou"])}), worst '
                 f'{known[0]["name"]} ({share(known[0]["iou"])}).')
    return [text]


def _stability(summary: Json) -> list[str]:
    stability = summary['stability']
    if not stability or stability['pixel_consistency'] is None:
        return []
    changes = stability['changes']
    return [f'From one frame to the next {share(stability["pixel_consistency"])} of the pixels '
            'keep their class; ' + (f'{count_text(changes, "time")} they change suddenly.'
                                    if changes else 'there is no sudden change.')]


def _problems(summary: Json) -> str:
    kinds = {kind: count for kind, count in summary['problems'].items() if count}
    if not kinds:
        return 'No frame has a problem.'
    total = sum(kinds.values())
    each = ', '.join(f'{count:,} {kind}' for kind, count in kinds.items())
    return (f'{count_text(total, "frame")} of {summary["frames"]:,} '
            f'{"has" if total == 1 else "have"} a problem: {each}.')


def _damage(bags: list[Json]) -> list[str]:
    damaged = [bag for bag in bags if bag['damage']]
    if not damaged:
        return []
    count = sum(item['count'] for item in bag_rows(damaged, 'damage'))
    return [f'{count_text(len(damaged), "bag")} {"is" if len(damaged) == 1 else "are"} damaged, '
            f'at {count_text(count, "place")} in all; what is readable is evaluated.']


def tiles(metrics: Json, duration: str) -> list[dict[str, str]]:
    """Return the large numbers: `name`, `value`, `note`, and `mood`, a CSS class."""
    summary, scores = metrics['all'], metrics['all']['scores'] or {}
    stability = summary['stability'] or {}
    problems = sum(summary['problems'].values())
    damage = sum(item['count'] for item in bag_rows(metrics['bags'], 'damage'))
    bags = count_text(len(metrics['bags']), 'bag')
    return [
        _tile('Driven', duration, f'{count_text(summary["frames"], "frame")}, {bags}'),
        _tile('Mean IoU', share(scores.get('mean_iou')), 'overlap with the true labels, mean of '
              'the classes') if scores.get('matched') else
        _tile('Mean IoU', 'unknown', 'no frame could be scored' if scores else 'no true labels'),
        _tile('Stability', share(stability.get('pixel_consistency')),
              'pixels that keep their class in the next frame'),
        _tile('Confidence', share(summary['mean_confidence']), 'mean of all pixels'),
        _tile('Problem frames', f'{problems:,}', f'of {summary["frames"]:,}: unreadable, black, '
              'blurred, odd stamps, ...', 'warn' if problems else 'good'),
        _tile('Damage', f'{damage:,}' if damage else 'none', 'unreadable places in the bags',
              'bad' if damage else 'good')]


def _tile(name: str, value: str, note: str, mood: str = '') -> dict[str, str]:
    return {'name': name, 'value': value, 'note': note, 'mood': mood}


def camera_rows(cameras: dict[str, Json]) -> list[list[str]]:
    """Return for each camera: name, frames, mean IoU, stability, flicker, confidence, problems."""
    return [[name, f'{item["frames"]:,}', share((item['scores'] or {}).get('mean_iou')),
             share((item['stability'] or {}).get('pixel_consistency')),
             share((item['stability'] or {}).get('flicker')),
             share(item['mean_confidence']), f'{sum(item["problems"].values()):,}']
            for name, item in cameras.items()]


def bag_rows(bags: list[Json], name: str) -> list[Json]:
    """Return the items of all bags under a name, `damage` or `faults`, each with its `bag`."""
    return [{'bag': bag['name'], **item} for bag in bags for item in bag[name]]


def drive_charts(metrics: Json, columns: dict[str, np.ndarray],
                 colors: dict[str, str]) -> dict[str, str]:
    """Draw the plots of each camera that has frames, as SVG."""
    times, names = timeline(columns), largest_classes(metrics['all'])
    charts = {}
    for camera in metrics['cameras']:
        rows = columns['camera'] == camera
        if rows.any():
            own = {name: column[rows] for name, column in columns.items()}
            charts[camera] = drive_plots(own, times.driven_s[rows], times, names, colors)
    return charts


def sure_text(summary: Json) -> str:
    """Describe how many of the pixels are certain, and how many are not."""
    bars = np.array(summary['confidence_histogram'], np.float64)
    if not bars.sum():
        return 'No pixel has a confidence.'
    bars /= bars.sum()
    sure = len(bars) * 9 // 10
    return (f'{share(bars[sure:].sum())} of the pixels are labelled with a confidence above 90 %, '
            f'{share(bars[:len(bars) // 2].sum())} with one below 50 %.')


def class_rows(summary: Json, colors: dict[str, str]) -> list[Json]:
    """List each class: name, colour, area, consistency, and the scores or None without labels."""
    scored = {item['name']: item for item in (summary['scores'] or {}).get('classes', [])}
    consistency = (summary['stability'] or {}).get('classes', {})
    return [{'name': name, 'color': color, 'area': summary['class_areas'].get(name),
             'consistency': consistency.get(name), 'iou': None, 'accuracy': None,
             'boundary_f_score': None, **scored.get(name, {})} for name, color in colors.items()]


def score_content(summary: Json, names: list[str]) -> Json | None:
    """Return the content that needs true labels; None without any."""
    scores = summary['scores']
    if not scores or not scores['matched']:
        return None
    counts = np.array(scores['confusion'], np.int64)
    shown = np.sort(np.argsort(-counts.sum(1), kind='stable')[:CLASSES_IN_MATRIX])
    part = ConfusionMatrix(len(shown))
    part.counts[:, :-1] = counts[np.ix_(shown, shown)]
    part.counts[:, -1] = counts[shown].sum(1) - part.counts.sum(1)
    return {'matched': scores, 'calibration': calibration_plot(scores['calibration']),
            'matrix': confusion_chart([names[index] for index in shown], part),
            'shown': len(shown), 'classes': len(names), 'mix_ups': mix_ups(counts, names)}


def mix_ups(counts: np.ndarray, names: list[str]) -> list[Json]:
    """
    Return the most frequent mistakes.

    :return: true class, label, the share of the true class's pixels and that of all pixels.
    """
    wrong = counts.copy()
    np.fill_diagonal(wrong, 0)
    order = np.argsort(-wrong, axis=None, kind='stable')[:MIX_UPS]
    labels = [*names, 'unknown']
    return [{'true': names[row], 'label': labels[column],
             'of_class': wrong[row, column] / counts[row].sum(),
             'of_all': wrong[row, column] / counts.sum()}
            for row, column in zip(*np.unravel_index(order, wrong.shape)) if wrong[row, column]]


def stage_rows(columns: dict[str, np.ndarray]) -> list[Json]:
    """Return the time of each stage of a frame: median and p99 in ms."""
    times = {}
    for stage in STAGES:
        values = columns[f'{stage}_ms']
        if len(known := values[~np.isnan(values)]):
            times[stage] = float(np.median(known)), float(np.percentile(known, 99))
    longest = max((p99 for _, p99 in times.values()), default=0) or 1
    return [{'name': stage, 'what': STAGES[stage], 'median': median, 'p99': p99,
             'median_share': median / longest, 'p99_share': p99 / longest}
            for stage, (median, p99) in times.items()]


def realtime_content(realtime: Json) -> Json:
    """Return the tiles and scores of a real-time replay, and a row for each of several cameras."""
    cameras = realtime['cameras'] if len(realtime['cameras']) > 1 else {}
    scores = {'offline: truth of the same image': realtime['offline_miou'],
              "streaming: truth at the label's arrival": realtime['streaming_miou']}
    return {'tiles': _realtime_tiles(realtime),
            'cameras': [_realtime_row(name, item) for name, item in cameras.items()],
            'scores': [(name, value) for name, value in scores.items() if value is not None]}


def _realtime_tiles(realtime: Json) -> list[dict[str, str]]:
    latency, age, dropped = (realtime[name] for name in ('latency_ms', 'age_ms', 'dropped'))
    found = [_tile('Latency', _ms(latency['median']), f'image to label, median; p99 '
                   f'{_ms(latency["p99"])}, longest {_ms(latency["max"])}'),
             _tile('Age', _ms(age['median']), 'of a label on arrival, median; p99 '
                   f'{_ms(age["p99"])}'),
             _tile('Dropped', f'{dropped:,}', f'of {count_text(realtime["frames"], "frame")}, for '
                   'newer ones', 'warn' if dropped else 'good')]
    if realtime['rate_hz'] is not None:
        found.append(_tile('Rate', f'{realtime["rate_hz"]:.1f} Hz', 'labels per second'))
    if realtime['streaming_miou'] is not None:
        found.append(_tile('Streaming mean IoU', share(realtime['streaming_miou']),
                           f'offline {share(realtime["offline_miou"])}'))
    return found


def _realtime_row(name: str, item: Json) -> list[str]:
    latency = item['latency_ms']
    return [name, f'{item["frames"]:,}', f'{item["dropped"]:,}', _ms(latency['median']),
            _ms(latency['p99']), _ms(item['age_ms']['median']), share(item['streaming_miou']),
            share(item['offline_miou'])]


def _ms(value: float | None) -> str:
    return ABSENT if value is None else f'{value:.0f} ms'


def picture_groups(pictures: Mapping[str, Sequence[Thumb]], scored: bool) -> list[Json]:
    """Return the groups that have pictures: `title`, `note`, `film` and `frames`."""
    texts = {FILMSTRIP: ('The drive in pictures', 'Evenly spaced over the drive, in order.'),
             WORST: ('Worst frames', 'Lowest mean IoU of the frame first.')
             if scored else ('Least stable frames', 'Where the fewest pixels keep their class.'),
             LEAST_CERTAIN: ('Least certain frames', 'Lowest mean confidence first.')}
    return [{'title': texts[name][0], 'note': texts[name][1], 'film': name == FILMSTRIP,
             'frames': embedded(thumbs)} for name, thumbs in pictures.items() if thumbs]


def facts(metrics: Json, run: Json) -> dict[str, str]:
    """Return what is needed to repeat the evaluation, by name."""
    model = {name: value for name, value in metrics['model'].items()
             if name not in ('classes', 'colors')}
    rest = {name: value for name, value in run.items() if name != 'command'}
    groups = {'model': model, 'option': metrics['options'],
              **{name.replace('_', ' '): value for name, value in rest.items()}}
    return dict(pair for name, value in groups.items() for pair in _flat(name, value))


def _flat(name: str, value: object) -> list[tuple[str, str]]:
    if isinstance(value, dict):
        return [pair for key, item in value.items() for pair in _flat(f'{name}: {key}', item)]
    text = f'{value:,.4g}' if isinstance(value, float) else str(value)
    return [] if value is None else [(name, text)]
