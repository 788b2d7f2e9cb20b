# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Charts with round numbers."""

from xml.etree import ElementTree

import numpy as np
import pytest
from segret_ros.labels.metrics import ConfusionMatrix
from segret_ros.offline.charts import confusion_chart, curve, ticks


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


def test_pixels_of_no_class_have_a_column_of_their_own() -> None:
    confusion = ConfusionMatrix(2)
    confusion.add(np.array([[0, 0, 1, 1]]), np.array([[0, 255, 1, 1]]))
    texts = [element.text for element in
             ElementTree.fromstring(str(confusion_chart(['a', 'b'], confusion)))]
    assert texts.count('no class') == 1
    assert [text for text in texts if text and text.isdigit()] == ['50', '50', '100']


@pytest.mark.parametrize('names', [['a', 'b'], ['ground', 'obstacle'],
                                   [f'class {number}' for number in range(150)]])
def test_no_caption_of_the_confusion_chart_is_cut_off(names: list[str]) -> None:
    picture = ElementTree.fromstring(str(confusion_chart(names, ConfusionMatrix(len(names)))))
    captions = [element for element in picture
                if element.text and element.text.startswith(('true class', 'numbers', 'the dark'))]
    assert len(captions) == 2
    for caption in captions:  # no letter of a sans-serif of 12 is wider than 7 on the average
        assert float(caption.get('x')) + 7 * len(caption.text) <= float(picture.get('width'))
