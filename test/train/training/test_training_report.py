# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""The report of a run: one self-contained page."""

from pathlib import Path
import re

from segret_train.datasets import DataSet
from segret_train.recipe import Recipe
from segret_train.training.process_group import ProcessGroup
from segret_train.training.training_report import duration, write_report
from segret_train.training.training_run import TrainingRun


def test_the_report_is_one_page_with_curves_scores_and_pictures(
        camvid: DataSet, tmp_path: Path, recipe: Recipe, group: ProcessGroup) -> None:
    run = TrainingRun(recipe, camvid, tmp_path / 'run', group, workers=0)
    best = run.train()
    page = write_report(run).read_text()
    assert f'{best:.2%} at step {run.best["step"]}' in page
    for text in ('SegRet nano on CamVid', 'Loss', 'Mean IoU on val', 'Learning rate', 'bicyclist',
                 'Confusion', 'Worst frames', 'moving average (decay 0.9)', 'weight_decay'):
        assert text in page, text
    assert page.count('<svg') == 5
    assert page.count('data:image/jpeg;base64,') == 2  # of the two frames there are
    assert not re.search(r'(src|href)="(?!data:|#)', page)


def test_durations_read_well() -> None:
    assert [duration(seconds) for seconds in (20, 3600, 5400)] == ['1 min', '1 h 0 min',
                                                                   '1 h 30 min']
