# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Charts: what they show, and that drawing them leaves no trace."""

import re
import subprocess
import sys
from xml.etree import ElementTree

import numpy as np
import pytest
from segret_ros.labels.metrics import ConfusionMatrix
from segret_ros.offline.charts import (
    as_svg,
    confusion_chart,
    curve,
    Figure,
    new_figure,
    share_axis,
    tip,
)

SVG = '{http://www.w3.org/2000/svg}'


def texts_of(svg: str) -> list[str]:
    return [element.text for element in ElementTree.fromstring(svg).iter(f'{SVG}text')]


def test_a_curve_leaves_out_what_is_no_number() -> None:
    discs = list(ElementTree.fromstring(curve('a', [(1, 0.5), (2, float('nan')), (3, 1.0)])
                                        ).iter(f'{SVG}use'))[-2:]
    assert float(discs[1].get('y')) < float(discs[0].get('y'))
    assert float(discs[1].get('x')) > float(discs[0].get('x'))
    assert 'no values' in texts_of(curve('a', []))


def test_a_chart_is_the_same_in_every_run_and_fetches_nothing() -> None:
    svg = curve('Loss & <more>', [(0, 2.0), (10, 1.0)])
    assert svg == curve('Loss & <more>', [(0, 2.0), (10, 1.0)])
    assert 'Loss & <more>' in texts_of(svg)
    assert set(re.findall(r'https?://[^"]*', svg)) == {'http://www.w3.org/2000/svg'}


def test_a_shape_shows_its_text_when_pointed_at() -> None:
    @as_svg
    def draw() -> Figure:
        figure = new_figure(90, 90)
        figure.add_subplot().axvline(0.5, gid=tip('"a" & <b>'))
        return figure

    titles = [element.text for element in ElementTree.fromstring(draw()).iter(f'{SVG}title')]
    assert titles == ['"a" & <b>']


def test_a_process_that_draws_leaves_its_environment_and_the_home_folder_alone(home) -> None:
    code = ('import os; before = dict(os.environ); from segret_ros.offline.charts import curve; '
            'curve("Loss", [(0, 1.0), (1, 0.5)]); print(before == dict(os.environ))')
    ran = subprocess.run([sys.executable, '-c', code], check=True, capture_output=True, text=True)
    assert (ran.stdout.strip(), ran.stderr) == ('True', '')
    assert home.lookups() == home.files() == []


@pytest.mark.parametrize('values', [[], [0.0], [1.0], [np.nan], [0.97, 0.9801], [0.0, 1.0],
                                    [1e-5, 3e-5]])
@pytest.mark.parametrize('from_zero', [True, False])
def test_an_axis_holds_all_values_within_0_and_1(values: list[float], from_zero: bool) -> None:
    axes = new_figure(90, 90).add_subplot()
    share_axis(axes, np.array(values), from_zero)
    low, high = axes.get_ylim()
    assert 0 <= low < high <= 1 + 1e-9
    assert all(low <= value <= high for value in values if value == value)
    assert low == 0 or not from_zero
    marks = axes.get_yticks()
    assert len(marks) >= 2 and low <= marks[0] and marks[-1] <= high
    texts = axes.yaxis.get_major_formatter().format_ticks(marks)
    assert len(set(texts)) == len(marks)


def test_the_confusion_chart_shows_each_row_in_percent() -> None:
    confusion = ConfusionMatrix(3)
    confusion.add(np.array([[0, 0, 0, 0, 1]]), np.array([[0, 0, 0, 2, 1]]))
    texts = texts_of(confusion_chart(['a', 'b', 'c'], confusion))
    assert [text for text in texts if text and text.isdigit()] == ['75', '25', '100']


def test_many_classes_keep_their_names_but_have_no_numbers() -> None:
    confusion = ConfusionMatrix(150)
    confusion.counts[:, :-1] = np.eye(150, dtype=int)
    texts = texts_of(confusion_chart([f'class {number}' for number in range(150)], confusion))
    assert 'class 0' in texts and 'class 149' in texts
    assert not [text for text in texts if text and text.isdigit()]


def test_pixels_of_no_class_have_a_column_of_their_own() -> None:
    confusion = ConfusionMatrix(2)
    confusion.add(np.array([[0, 0, 1, 1]]), np.array([[0, 255, 1, 1]]))
    texts = texts_of(confusion_chart(['a', 'b'], confusion))
    assert texts.count('no class') == 1
    assert [text for text in texts if text and text.isdigit()] == ['50', '50', '100']


@pytest.mark.filterwarnings('error')
def test_names_are_text() -> None:
    names = ['a$x^2$', '<b>&', '\u8def']
    assert set(names) <= set(texts_of(confusion_chart(names, ConfusionMatrix(3))))
    assert '$y$' in texts_of(curve('$y$', [(0, 1.0)]))


@pytest.mark.parametrize('names', [['a', 'b'], ['ground', 'obstacle'],
                                   [f'class {number}' for number in range(150)]])
def test_no_caption_of_the_confusion_chart_is_cut_off(names: list[str]) -> None:
    picture = ElementTree.fromstring(confusion_chart(names, ConfusionMatrix(len(names))))
    captions = [element for element in picture.iter(f'{SVG}text')
                if element.text and element.text.startswith(('true class', 'numbers', 'the dark'))]
    assert len(captions) == 2
    for caption in captions:  # no letter of a sans-serif of 12 is wider than 7 on the average
        assert float(caption.get('x')) + 7 * len(caption.text) <= float(picture.get('width'))
