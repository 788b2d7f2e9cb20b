# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""The page of a comparison: it needs nothing outside, and shows what changed."""

import base64
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
import re

import cv2
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


class Page(HTMLParser):
    """What a browser would make of a page: its elements, and its text."""

    def __init__(self, content: str) -> None:
        super().__init__()
        self.tags, self.sources, self.text = [], [], ''
        self.feed(content)

    def handle_starttag(self, tag: str, attributes: list) -> None:
        self.tags.append(tag)
        self.sources += [value for name, value in attributes
                         if name in ('src', 'href') and not value.startswith('#')]

    def handle_data(self, data: str) -> None:
        self.text += data


def test_the_page_needs_nothing_outside_and_escapes_names(tmp_path: Path) -> None:
    classes = ('<b>road</b>', 'car"&amp;')
    frames = [[replace(frame, values={'bag': '<script>alert(1)</script>'})
               for frame in drive(hits)] for hits in ([(50, 50)] * 6, [(50, 45)] * 6)]
    folders = [write_folder(tmp_path / name, classes, one)
               for name, one in zip(('a<i>', 'b'), frames)]
    write_comparison(compare(*folders), tmp_path / 'page.html')
    page = Page((tmp_path / 'page.html').read_text())
    assert not {'script', 'b', 'i', 'link', 'img'} & set(page.tags)
    assert page.tags.count('svg') == 2 and page.sources == []
    assert page.text.count('<script>alert(1)</script>, /camera') == 6
    assert '<b>road</b>' in page.text and 'car"&amp;' in page.text and 'a<i>' in page.text
    assert 'B is worse than A: mean IoU -' in page.text
    outside = re.findall(r'https?:[^"]*', (tmp_path / 'page.html').read_text())
    assert set(outside) <= {'http://www.w3.org/2000/svg'}  # a name, which nothing fetches


def test_the_page_shows_the_labels_of_both(tmp_path: Path) -> None:
    a, b = drive([(50, 50)] * 3), drive([(50, 50), (50, 40), (50, 30)])
    found = compared(tmp_path, a, b)
    labels = np.zeros((4, 6), np.uint8), np.ones((4, 6), np.uint8)
    for name, label in zip('ab', labels):
        write_result(tmp_path / name, 2 * SECOND + DELAY_NS,
                     {1: np.full((4, 6), 2, np.uint8), 2 * SECOND: label})
    write_comparison(found, tmp_path / 'page.html')
    page = Page((tmp_path / 'page.html').read_text())
    assert page.tags.count('figure') == 2 and page.tags.count('img') == 1
    data = page.sources[0].removeprefix('data:image/png;base64,')
    picture = cv2.imdecode(np.frombuffer(base64.b64decode(data), np.uint8), 1)
    assert picture.shape == (4, 6 + 8 + 6, 3)
    assert picture[0, 0].tolist() == [0, 9, 9] and picture[0, -1].tolist() == [1, 9, 9]  # BGR
