# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Topics that ROS 2 forbids, in a bag whose path is no text: evaluated, and told."""

import os
from pathlib import Path

from recordings import CAMERA, evaluate, first, metrics, renamed, TRUE_LABEL, write_bag


def test_forbidden_topics_and_paths_are_evaluated_and_told(tmp_path: Path) -> None:
    topics = {CAMERA: '/front-left/image raw', TRUE_LABEL: '/front-left/über label'}
    folder = tmp_path / os.fsdecode(b'caf\xe9 #1')
    bag = write_bag(tmp_path / 'drive', [renamed(item, topics[item.topic]) for item in first(3)])
    bag.rename(folder)
    evaluate(folder, '--labels', topics[TRUE_LABEL], '--output', tmp_path / 'out')
    found = metrics(tmp_path / 'out')
    assert list(found['cameras']) == ['/front_left/image_raw']
    assert found['all']['scores']['matched'] == 3
    told, = found['bags'][0]['remarks']
    assert told.startswith(f'{topics[CAMERA]!r} is shown as /front_left/image_raw: ')
    page = (tmp_path / 'out' / 'report.html').read_text()
    assert 'is shown as /front_left/image_raw' in page and 'caf\\udce9 #1' in page
