# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""The command `segret_engine` and the process that builds beside the node, on real engines."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
import subprocess
import sys

import cv2
import pytest
from segret_ros.inference.serving import command
from segret_ros.inference.serving.cache import EngineCache, ENTRY, Entry
from segret_ros.inference.serving.parity import shipped_images


@pytest.fixture
def engine(capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch, cache: EngineCache
           ) -> Callable[..., tuple[int, str, str]]:
    """Return a function that runs the command; it returns the exit code and both outputs."""
    def run(*arguments: object) -> tuple[int, str, str]:
        words = ['segret_engine', *arguments, '--cache', cache.folder]
        monkeypatch.setattr(sys, 'argv', [*map(str, words)])
        code = command.main()
        return code, *capsys.readouterr()

    return run


def test_build_list_and_clear(engine, cache: EngineCache, model_file: Path) -> None:
    code, output, progress = engine('build', model_file, '--device', 'cpu')
    entry, = cache.entries()
    assert code == 0
    assert output.splitlines() == [f'cpu: {entry.parity}', str(entry.folder)]
    assert [line.split()[0] for line in progress.splitlines()] == [
        'building', 'comparing', 'caching']
    code, table, _ = engine('list')
    title, row, _, total = table.splitlines()
    assert code == 0 and title.startswith('model  ') and title.endswith('usable here')
    assert row.startswith(f'blocks {entry.key.model_sha256[:8]}  cpu ')
    assert row.endswith(' yes') and '100.000%' in row and 'float32' in row
    assert total == f'{cache.folder}: 1 engine, {entry.size_bytes} B'
    assert engine('clear', 'other.onnx')[1] == f'{cache.folder}: 0 removed\n'
    assert engine('clear', model_file)[1] == f'{cache.folder}: 1 removed\n'
    assert engine('list')[:2] == (0, f'{cache.folder}: no engine is cached there\n')


def test_clear_knows_a_model_file_by_its_name_or_its_content(
        engine, filled: EngineCache, built: Entry, keep: Callable[..., Entry], model_file: Path
        ) -> None:
    for changes in ({'model': 'renamed'}, {'model_sha256': '0' * 64},
                    {'model': 'other', 'model_sha256': '0' * 64}):
        keep(key=replace(built.key, **changes))
    assert engine('clear', model_file)[1].endswith(': 3 removed\n')
    assert [entry.key.model for entry in filled.entries()] == ['other']


def test_clear_all_takes_corrupt_ones_too_and_leaves_a_folder_of_such_a_name(
        engine, filled: EngineCache, built: Entry) -> None:
    (filled.folder / built.folder.name / ENTRY).write_text('')
    assert 'no engine' in engine('list')[1]
    mine = filled.folder / built.folder.name.replace(built.folder.name[-16:], '0' * 16)
    mine.mkdir()
    (mine / 'notes.txt').write_text('mine')
    assert engine('clear', '--all')[1] == f'{filled.folder}: 1 removed\n'
    assert [path.read_text() for path in mine.iterdir()] == ['mine']
    assert list(filled.folder.iterdir()) == [mine]


def test_auto_builds_for_the_best_device(engine, cache: EngineCache, model_file: Path) -> None:
    assert engine('build', model_file)[0] == 0
    assert [entry.key.device for entry in cache.entries()] == ['openvino']


def test_an_engine_that_fails_is_kept_and_reported(engine, cache: EngineCache, wrong_model: Path
                                                   ) -> None:
    code, output, errors = engine('build', wrong_model, '--device', 'cpu')
    problem = cache.entries()[0].parity.problem()
    assert (code, output) == (2, '') and problem
    assert errors.splitlines()[-1] == (
        f'segret_engine: {wrong_model}: its engine on cpu fails the parity check, so that the '
        f'node will refuse it: {problem}')
    assert f'no, refused: {problem}' in engine('list')[1]


def test_engines_of_another_machine_are_reported(engine, built: Entry, keep: Callable[..., Entry]
                                                 ) -> None:
    libraries = {**built.key.libraries, 'openvino': '2023.0'}
    for changes in ({'hardware': 'Another CPU'}, {'streams': 4}, {'libraries': libraries},
                    {'device': 'abacus'}):
        keep(key=replace(built.key, **changes))
    table = engine('list')[1]
    assert 'no, built on Another CPU' in table
    assert 'no, built with openvino 2023.0, here it is 20' in table
    assert 'openvino, 4 streams' in table
    assert "no, no device 'abacus'" in table


def test_images_of_the_users_own(engine, cache: EngineCache, model_file: Path, tmp_path: Path
                                 ) -> None:
    for index, image_rgb in enumerate(shipped_images()[:2]):
        cv2.imwrite(str(tmp_path / f'{index}.png'), image_rgb)
    code, output, _ = engine('build', model_file, '--device', 'cpu', '--frames', tmp_path)
    assert code == 0 and 'of 2 frames equal' in output


@pytest.mark.parametrize('arguments, text', [
    (('none.onnx',), 'none.onnx: no such model file'),
    (('MODEL', '--device', 'toaster'), "no device 'toaster'"),
    (('MODEL', '--device', 'cuda'), "'cuda' can't be used"),
    (('MODEL', '--frames', 'nowhere'), 'nowhere: no such folder of images')])
def test_a_mistake_is_reported_in_one_line(engine, model_file: Path, arguments: tuple[str, ...],
                                           text: str) -> None:
    code, output, errors = engine(
        'build', *(model_file if word == 'MODEL' else word for word in arguments))
    assert (code, output) == (1, '')
    last = errors.splitlines()[-1]
    assert last.startswith('segret_engine: ') and text in last
    assert [line for line in errors.splitlines() if text in line] == [last]


def test_the_help_runs_as_a_process() -> None:
    ran = subprocess.run([sys.executable, '-m', command.__name__, '--help'], capture_output=True,
                         text=True)
    assert ran.returncode == 0
    assert all(name in ran.stdout for name in ('build', 'list', 'clear'))
