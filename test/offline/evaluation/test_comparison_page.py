# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""The page of a comparison: it needs nothing outside, and shows what changed."""

import base64
from dataclasses import replace
from pathlib import Path

import cv2
from html_page import Page
import numpy as np
from output_folders import compared, DELAY_NS, drive, LABEL_TOPIC, SECOND, write_folder
from segret_ros.offline.bags import BagWriter, serialize
from segret_ros.offline.evaluation.comparison import compare
from segret_ros.offline.evaluation.comparison_page import write_comparison
from segret_ros.offline.evaluation.result import label_message, new_header


def write_result(folder: Path, time_ns: int, labels: dict[int, np.ndarray]) -> None:
    """Write labels by their stamps, all recorded at one time, into a folder's `result.mcap`."""
    with BagWriter(folder / 'written') as writer:
        for stamp_ns, label in labels.items():
            message = label_message(new_header(stamp_ns, 'camera'), label)
            writer.write(serialize(LABEL_TOPIC, time_ns, message))
    (folder / 'written' / 'written.mcap').replace(folder / 'result.mcap')


def test_the_page_needs_nothing_outside_and_escapes_names(tmp_path: Path) -> None:
    classes = ('<b>road</b>', 'car"&amp;')
    frames = [[replace(frame, values={'bag': '<script>alert(1)</script>'})
               for frame in drive(hits)] for hits in ([(50, 50)] * 6, [(50, 45)] * 6)]
    folders = [write_folder(tmp_path / name, classes, one)
               for name, one in zip(('a<i>', 'b'), frames)]
    write_comparison(compare(*folders), tmp_path / 'page.html')
    page = Page(tmp_path / 'page.html')
    assert not {'b', 'i', 'link', 'img'} & set(page.tags) and page.tags.count('svg') == 2
    assert page.text.count('<script>alert(1)</script>, /camera') == 6
    assert '<b>road</b>' in page.text and 'car"&amp;' in page.text and 'a<i>' in page.text
    assert 'B is worse than A: mean IoU -' in page.text


def test_the_page_shows_the_labels_of_both(tmp_path: Path) -> None:
    a, b = drive([(50, 50)] * 3), drive([(50, 50), (50, 40), (50, 30)])
    found = compared(tmp_path, a, b)
    labels = np.zeros((4, 6), np.uint8), np.ones((4, 6), np.uint8)
    for name, label in zip('ab', labels):
        write_result(tmp_path / name, 2 * SECOND + DELAY_NS,
                     {1: np.full((4, 6), 2, np.uint8), 2 * SECOND: label})
    write_comparison(found, tmp_path / 'page.html')
    page = Page(tmp_path / 'page.html')
    assert page.tags.count('figure') == 2
    (image,) = page.images
    file = base64.b64decode(image.removeprefix('data:image/png;base64,'))
    picture = cv2.imdecode(np.frombuffer(file, np.uint8), cv2.IMREAD_COLOR)
    assert picture.shape == (4, 6 + 8 + 6, 3)
    assert picture[0, 0].tolist() == [0, 9, 9] and picture[0, -1].tolist() == [1, 9, 9]  # BGR
