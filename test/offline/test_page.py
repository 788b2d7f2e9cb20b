# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Pages: one file, escaped, nothing outside."""

import re

import cv2
import numpy as np
from segret_ros.labels.label_set import LabelSet
from segret_ros.labels.metrics import ConfusionMatrix
from segret_ros.offline.page import class_rows, data_url, hex_color
from segret_ros.offline.pictures import encode


def test_a_picture_becomes_a_url_that_holds_it() -> None:
    image = np.full((8, 8, 3), (200, 10, 10), np.uint8)
    assert re.fullmatch(r'data:image/png;base64,[\w+/]+=*', data_url(encode(image, '.png')))
    assert data_url(encode(image, '.jpg')).startswith('data:image/jpeg;base64,')


def test_pictures_keep_their_colours() -> None:
    content = encode(np.full((8, 8, 3), (200, 10, 30), np.uint8), '.png')
    assert cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)[0, 0].tolist() == [
        30, 10, 200]


def test_classes_have_their_colour_score_and_share() -> None:
    confusion = ConfusionMatrix(3)
    confusion.add(np.array([[0, 0, 0, 1]]), np.array([[0, 0, 1, 1]]))
    rows = class_rows(LabelSet(('a', 'b', 'c'), ((0, 0, 0), (1, 2, 255), (9, 9, 9))), confusion)
    assert rows[1] == {'name': 'b', 'color': '#0102ff', 'share': 0.25, 'iou': 0.5}
    assert rows[2] == {'name': 'c', 'color': '#090909', 'share': 0.0, 'iou': None}
    assert hex_color((255, 0, 16)) == '#ff0010'
