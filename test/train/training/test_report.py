"""The report of a run: one page with all that it names, and charts with round numbers."""

from pathlib import Path
import re
from xml.etree import ElementTree

import numpy as np
import pytest
from segret_ros.metrics import ConfusionMatrix
from segret_train.datasets import DataSet
from segret_train.recipe import Recipe
from segret_train.training.charts import confusion_chart, curve, ticks
from segret_train.training.report import duration, write_report
from segret_train.training.run import Run
from segret_train.training.world import World


def test_the_report_is_one_page_with_curves_scores_and_pictures(
        camvid: DataSet, tmp_path: Path, recipe: Recipe, world: World) -> None:
    run = Run(recipe, camvid, tmp_path / 'run', world, workers=0)
    best = run.train()
    page = write_report(run).read_text()
    assert f'{best:.2%} at step {run.best["step"]}' in page
    for text in ('SegRet nano on CamVid', 'Loss', 'Mean IoU on val', 'Learning rate', 'bicyclist',
                 'Confusion', 'Worst frames', 'moving average (decay 0.9)', 'weight_decay'):
        assert text in page, text
    assert page.count('<svg') == 5
    assert page.count('data:image/jpeg;base64,') == 2  # of the two frames there are
    assert not re.search(r'(src|href)="(?!data:)', page)


def test_ticks_are_round() -> None:
    assert ticks(0, 2.3) == pytest.approx([0, 0.5, 1, 1.5, 2, 2.5])
    assert ticks(0, 0.61) == pytest.approx([0, 0.2, 0.4, 0.6, 0.8])
    assert ticks(0, 160000) == pytest.approx([0, 50000, 100000, 150000, 200000])
    assert ticks(0, 0) == [0, 1]


def test_a_curve_leaves_out_what_is_no_number() -> None:
    picture = ElementTree.fromstring(str(curve('a', [(1, 0.5), (2, float('nan')), (3, 1.0)])))
    discs = [element for element in picture if element.tag.endswith('circle')]
    assert len(discs) == 2
    assert float(discs[1].get('cy')) < float(discs[0].get('cy'))
    assert 'no values' in str(curve('a', []))


def test_the_confusion_chart_shows_each_row_in_percent() -> None:
    confusion = ConfusionMatrix(3)
    confusion.add(np.array([[0, 0, 0, 0, 1]]), np.array([[0, 0, 0, 2, 1]]))
    texts = [element.text for element in
             ElementTree.fromstring(str(confusion_chart(['a', 'b', 'c'], confusion)))]
    assert [text for text in texts if text and text.isdigit()] == ['75', '25', '100']


def test_many_classes_keep_their_names_but_have_no_numbers() -> None:
    confusion = ConfusionMatrix(150)
    confusion.counts[:, :-1] = np.eye(150, dtype=int)
    texts = [element.text for element in ElementTree.fromstring(
        str(confusion_chart([f'class {number}' for number in range(150)], confusion)))]
    assert 'class 0' in texts and 'class 149' in texts
    assert not [text for text in texts if text and text.isdigit()]


def test_durations_read_well() -> None:
    assert [duration(seconds) for seconds in (20, 3600, 5400)] == ['1 min', '1 h 0 min',
                                                                   '1 h 30 min']
