# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""The report of a finished run, one self-contained HTML page."""

import math
from pathlib import Path
from typing import Any

import numpy as np
from segret_ros.labels.metrics import ConfusionMatrix
from segret_ros.network import SegRet
from segret_ros.offline.charts import confusion_chart, curve
from segret_ros.offline.page import class_rows, data_url, write_page
from segret_ros.offline.pictures import encode, frame_panels, side_by_side
from segret_train.datasets import Sample
from segret_train.teacher import load_network
from segret_train.training.training_run import BEST, REPORT, TrainingRun

FRAMES = 3  # of the best and of the worst


def write_report(run: TrainingRun) -> Path:
    """Write the report of a run that has been validated at least once, and return its path."""
    labels = run.data.labels
    confusion = ConfusionMatrix(len(labels))
    confusion.counts = np.array(run.best['confusion'], np.int64)
    write_page(
        run.output / REPORT, 'segret_train.training',
        title=f'SegRet {run.recipe.variant} on {run.data.name}', rows=summary(run, confusion),
        curves=curves(run.log.records if run.log else []),
        classes=class_rows(labels, confusion),
        matrix=confusion_chart(labels.names, confusion), groups=pictures(run),
        recipe=run.recipe.values())
    return run.output / REPORT


def summary(run: TrainingRun, confusion: ConfusionMatrix) -> dict[str, str]:
    """Return the page's first table."""
    rates = [record['images_per_second'] for record in run.log.records] if run.log else []
    average = f' of the moving average (decay {run.recipe.ema:g})' if run.recipe.ema else ''
    return {'best mean IoU on val': f'{confusion.mean_iou():.2%} at step {run.best["step"]}',
            'pixel accuracy then': f'{confusion.pixel_accuracy():.2%}',
            'weights': f'{BEST}{average}',
            'frames': f'{len(run.crops.samples)} to train, {len(run.validation)} to validate',
            'steps': f'{run.step} of {run.crops_per_step} crops',
            'images per second': f'{np.median(rates):.1f} (median)',
            'time': duration(run.seconds)}


def duration(seconds: float) -> str:
    """Write a duration in hours and minutes."""
    minutes = math.ceil(seconds / 60)
    return f'{minutes // 60} h {minutes % 60} min' if minutes >= 60 else f'{minutes} min'


def curves(records: list[dict[str, Any]]) -> list[str]:
    """Draw the curves of a run's records."""
    def series(name: str) -> list[tuple[float, float]]:
        return [(record['step'], record[name]) for record in records if name in record]

    return [curve('Loss', series('loss')), curve('Mean IoU on val', series('val_miou'), True),
            curve('Learning rate', series('learning_rate')),
            curve('Images per second', series('images_per_second'))]


def pictures(run: TrainingRun) -> dict[str, list[dict[str, str]]]:
    """Draw the best and the worst frames beside their labels, as JPEG files."""
    scores = {name: score for name, score in run.best['frames'].items() if score == score}
    ranked = sorted(scores, key=lambda name: scores[name])
    worst = ranked[:FRAMES]
    best = [name for name in ranked[::-1][:FRAMES] if name not in worst]
    network = load_network(run.output / BEST).to(run.group.device)
    samples = {sample.name: sample for sample in run.validation}
    groups = {'Best frames': best, 'Worst frames': worst}
    return {title: [{'caption': f'{name}: {scores[name]:.1%} mean IoU of this frame',
                     'url': picture(run, network, samples[name])} for name in names]
            for title, names in groups.items() if names}


def picture(run: TrainingRun, network: SegRet, sample: Sample) -> str:
    """Draw a frame, its labels and its true labels, as the data URL of a JPEG file."""
    image = sample.image()
    panels = frame_panels(image, run.label(network, image), sample.label(), run.data.labels)
    return data_url(encode(side_by_side(panels, run.data.labels), '.jpg'))
