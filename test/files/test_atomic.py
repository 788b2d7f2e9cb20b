# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Files are there whole or not at all."""

import os
from pathlib import Path

import pytest
from segret_ros.files.atomic import atomic_path


def test_a_whole_file_takes_its_place(tmp_path: Path) -> None:
    path = tmp_path / 'new' / 'file.txt'
    with atomic_path(path) as partial:
        partial.write_text('whole')
        assert not path.exists()
    assert path.read_text() == 'whole'
    assert os.listdir(path.parent) == ['file.txt']


def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / 'file.txt'
    path.write_text('old')
    with pytest.raises(OSError, match='disk full'), atomic_path(path) as partial:
        partial.write_text('half')
        raise OSError('disk full')
    assert path.read_text() == 'old'
    assert os.listdir(tmp_path) == ['file.txt']


def test_others_may_read_it_as_any_new_file(tmp_path: Path) -> None:
    with atomic_path(tmp_path / 'file.txt') as partial:
        partial.write_text('whole')
    (tmp_path / 'plain.txt').write_text('plain')
    assert (tmp_path / 'file.txt').stat().st_mode == (tmp_path / 'plain.txt').stat().st_mode
