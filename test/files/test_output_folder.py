# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""No command that fills a folder costs the user a file."""

from collections.abc import Callable
import hashlib
import json
import os
from pathlib import Path
import shutil

import pytest
from segret_ros import offline
from segret_ros.files.output_file import claim_file, MODEL_MARK, PAGE_MARK, PICTURE_MARK
from segret_ros.files.output_folder import (
    Layout,
    LIST,
    output_folder,
    OutputError,
    OutputFolder,
    refuse_overlap,
    WORK,
)
from segret_ros.files.share import default_model, share_directory
from segret_ros.offline.bags import BagWriter, read_bag
from segret_ros.offline.bench import main as bench_main
from segret_ros.offline.charts import curve
from segret_ros.offline.demo.main import main as demo_main
from segret_ros.offline.evaluation.main import main as evaluate_main

IMAGE = '/camera/image_raw/compressed'
LAYOUT = Layout('paint', ('pictures/*.png', 'page.html', 'log'),
                signatures=(frozenset({'page.html', 'log'}),), live=frozenset({'log'}))


def snapshot(folder: Path) -> dict[str, str]:
    """Return what each path in a folder is: a file's hash, a link's target, or a kind."""
    found = {}
    for path in sorted(folder.rglob('*')):
        name = str(path.relative_to(folder))
        if path.is_symlink():
            found[name] = f'link to {os.readlink(path)}'
        elif path.is_file():
            found[name] = hashlib.sha256(path.read_bytes()).hexdigest()
        else:
            found[name] = 'folder' if path.is_dir() else 'special'
    return found


def paint(folder: Path, *pictures: str, inputs: tuple[Path, ...] = ()) -> None:
    """Fill a folder as a command does."""
    with output_folder(LAYOUT, folder, inputs) as output:
        (output.made / 'pictures').mkdir()
        for name in pictures:
            (output.made / 'pictures' / name).write_text(f'picture {name}')
        (output.made / 'page.html').write_text(' '.join(pictures))
        (output.path / 'log').write_text('painted')


def test_only_what_the_command_left_is_replaced(tmp_path: Path,
                                                capsys: pytest.CaptureFixture) -> None:
    paint(tmp_path / 'out', 'a.png', 'b.png')
    assert capsys.readouterr().err == ''
    (tmp_path / 'out' / 'notes').mkdir()
    (tmp_path / 'out' / 'notes' / 'mine.txt').write_text('mine')
    (tmp_path / 'out' / 'pictures' / 'mine.txt').write_text('mine too')
    paint(tmp_path / 'out', 'c.png')
    assert set(snapshot(tmp_path / 'out')) == {
        LIST, 'log', 'notes', 'notes/mine.txt', 'page.html', 'pictures', 'pictures/c.png',
        'pictures/mine.txt'}
    assert (tmp_path / 'out' / 'page.html').read_text() == 'c.png'
    assert capsys.readouterr().err == (
        f'paint: replaced the 3 files of an earlier run in {tmp_path}/out\n')


@pytest.mark.parametrize('fill', [
    lambda folder: (folder / 'photo.png').write_text('mine'),
    lambda folder: (folder / 'page.html').write_text('mine'),
    lambda folder: (folder / 'link').symlink_to('nothing'),
    lambda folder: os.mkfifo(folder / 'pipe'),
    *(lambda folder, listed=listed: [(folder / LIST).write_text(listed),
                                     (folder / 'page.html').write_text('mine')]
      for listed in ('{"command"', json.dumps({'command': 'draw', 'files': ['page.html']})))],
    ids=['a file', 'one of such a name', 'a link to nothing', 'a special file', 'a cut list',
         'the output of another command'])
def test_a_folder_of_the_users_is_refused(tmp_path: Path, fill: Callable) -> None:
    folder = tmp_path / 'photos'
    folder.mkdir()
    fill(folder)
    before = snapshot(tmp_path)
    with pytest.raises(OutputError, match=str(folder)):
        paint(folder, 'a.png')
    assert snapshot(tmp_path) == before


@pytest.mark.parametrize('name', ['pictures/mine.png', 'page.html/mine', 'pictures'])
def test_a_users_file_in_the_place_of_one_to_write_is_refused(tmp_path: Path, name: str) -> None:
    paint(tmp_path / 'out', 'a.png')
    path = tmp_path / 'out' / name
    if name == 'page.html/mine':
        path.parent.unlink()
        path.parent.mkdir()
    if name == 'pictures':
        path.rename(tmp_path / 'elsewhere')
        path.symlink_to('../elsewhere')
    else:
        path.write_text('mine')
    before = snapshot(tmp_path)
    with pytest.raises(OutputError, match=str(path)):
        paint(tmp_path / 'out', 'mine.png')
    assert snapshot(tmp_path) == before


def test_what_versions_without_lists_left_is_replaced(tmp_path: Path) -> None:
    paint(tmp_path / 'out', 'a.png')
    (tmp_path / 'out' / LIST).unlink()
    (tmp_path / 'out' / 'mine.txt').write_text('mine')
    paint(tmp_path / 'out', 'b.png')
    assert set(snapshot(tmp_path / 'out')) == {
        LIST, 'log', 'mine.txt', 'page.html', 'pictures', 'pictures/b.png'}


def test_a_failed_run_leaves_the_old_output(tmp_path: Path) -> None:
    paint(tmp_path / 'out', 'a.png')
    before = snapshot(tmp_path)
    with pytest.raises(OSError, match='full'), output_folder(LAYOUT, tmp_path / 'out') as output:
        (output.made / 'page.html').write_text('half')
        raise OSError('the disk is full')
    assert snapshot(tmp_path) == before
    with pytest.raises(OSError, match='full'), output_folder(LAYOUT, tmp_path / 'new'):
        raise OSError('the disk is full')
    assert not (tmp_path / 'new').exists()


def test_a_killed_run_is_replaced(tmp_path: Path) -> None:
    killed = OutputFolder(LAYOUT, tmp_path / 'out')
    (killed.made / 'page.html').write_text('half')
    (killed.path / 'log').write_text('killed')
    paint(tmp_path / 'out', 'a.png')
    assert set(snapshot(tmp_path / 'out')) == {
        LIST, 'log', 'page.html', 'pictures', 'pictures/a.png'}


def test_a_list_reaches_nothing_outside_its_folder(tmp_path: Path) -> None:
    (tmp_path / 'mine.txt').write_text('mine')
    paint(tmp_path / 'out', 'a.png')
    (tmp_path / 'out' / LIST).write_text(json.dumps(
        {'command': 'paint', 'files': ['../mine.txt', str(tmp_path / 'mine.txt'), 'page.html',
                                       'pictures/a.png', 'log']}))
    paint(tmp_path / 'out', 'b.png')
    assert (tmp_path / 'mine.txt').read_text() == 'mine'


@pytest.mark.parametrize('output', [
    'drives/one', 'drives', 'drives/one/out', 'drives/one/deep/out', '.', 'link', 'link/out',
    'drives/two/../one', 'drives/one/.', 'inside'])
def test_an_output_is_no_input_whatever_leads_there(tmp_path: Path, output: str,
                                                    monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / 'drives' / 'one' / 'part').mkdir(parents=True)
    (tmp_path / 'link').symlink_to('drives/one')
    (tmp_path / 'inside').symlink_to('drives/one/part')
    monkeypatch.chdir(tmp_path)
    for given in ('drives/one', 'link', tmp_path / 'link' / 'part' / '..'):
        with pytest.raises(OutputError, match=f'the output {output} (is|holds|lies in) the input'):
            refuse_overlap(output, [given])
    refuse_overlap('drives/two', ['drives/one', 'nothing', '/camera/label'])


def test_a_hard_linked_input_is_no_output(tmp_path: Path) -> None:
    (tmp_path / 'model.onnx').write_text('model')
    os.link(tmp_path / 'model.onnx', tmp_path / 'other.onnx')
    with pytest.raises(OutputError, match='is the input'):
        refuse_overlap(tmp_path / 'other.onnx', [tmp_path / 'model.onnx'])


@pytest.mark.parametrize('place', ['file', 'file/out', 'dangling'])
def test_a_place_that_can_be_no_folder_is_reported(tmp_path: Path, place: str) -> None:
    (tmp_path / 'file').write_text('mine')
    (tmp_path / 'dangling').symlink_to('nothing')
    before = snapshot(tmp_path)
    with pytest.raises((OutputError, NotADirectoryError), match=str(tmp_path / place)):
        paint(tmp_path / place, 'a.png')
    assert snapshot(tmp_path) == before


def test_work_that_is_a_link_is_not_followed(tmp_path: Path) -> None:
    paint(tmp_path / 'out', 'a.png')
    (tmp_path / 'mine').mkdir()
    (tmp_path / 'mine' / 'photo.png').write_text('mine')
    (tmp_path / 'out' / WORK).symlink_to('../mine')
    with pytest.raises(OSError, match='symbolic link'):
        paint(tmp_path / 'out', 'b.png')
    assert (tmp_path / 'mine' / 'photo.png').read_text() == 'mine'


@pytest.fixture
def inputs(tmp_path: Path) -> dict[str, Path]:
    """Return a bag of two images in a folder, a model file and a folder of labels."""
    folder = tmp_path / 'mine'
    (folder / 'labels').mkdir(parents=True)
    (folder / 'labels' / '1.png').write_text('mine')
    (folder / 'models').mkdir()
    shutil.copy(default_model(), folder / 'models' / 'model.onnx')
    with BagWriter(folder / 'drive') as writer:
        for recorded, _ in zip(read_bag(share_directory() / 'data' / 'sample_drive', [IMAGE]),
                               range(2)):
            writer.write(recorded)
    return {'bag': folder / 'drive', 'model': folder / 'models' / 'model.onnx',
            'labels': folder / 'labels'}


def command_line(command: str, inputs: dict[str, Path], output: Path) -> list[Path | str]:
    """Return a command that reads all of the inputs it can."""
    if command == 'segret_demo':
        return [command, '--bag', inputs['bag'], '--model', inputs['model'], '--output', output]
    return [command, inputs['bag'], '--model', inputs['model'], '--labels', inputs['labels'],
            '--output', output]


@pytest.mark.parametrize(('command', 'main', 'names'), [
    ('segret_demo', demo_main, ('bag', 'model')),
    ('segret_evaluate', evaluate_main, ('bag', 'model', 'labels'))])
def test_a_command_leaves_every_byte_of_the_users(
        command: str, main: Callable[[], int], names: tuple[str, ...], inputs: dict[str, Path],
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    outputs = [tmp_path / 'mine', tmp_path, tmp_path / 'foreign', Path('.')]
    for name in names:
        outputs += [inputs[name], inputs[name] / 'out', inputs[name].parent]
    (tmp_path / 'foreign').mkdir()
    (tmp_path / 'foreign' / 'report.html').write_text('mine')
    (tmp_path / 'foreign' / 'drive').symlink_to('../mine/drive')
    monkeypatch.chdir(inputs['bag'])
    before = snapshot(tmp_path)
    for output in outputs:
        monkeypatch.setattr('sys.argv', list(map(str, command_line(command, inputs, output))))
        assert main() == 1, output
        errors = capsys.readouterr().err
        assert str(output) in errors and errors.count('\n') == 1, errors
        assert snapshot(tmp_path) == before, output


def test_a_file_of_the_users_is_no_output(tmp_path: Path) -> None:
    model, page = tmp_path / 'model.onnx', tmp_path / 'page.html'
    shutil.copy(default_model(), model)
    (tmp_path / 'link.onnx').symlink_to(model)
    page.write_text('<p>mine')
    (tmp_path / 'empty').touch()
    (tmp_path / 'folder').mkdir()
    before = snapshot(tmp_path)
    for path, given, mark, reason in (
            (model, [None, model], MODEL_MARK, 'is the input'),
            (tmp_path / 'link.onnx', [model], MODEL_MARK, 'is the input'),
            (page, [], PAGE_MARK, 'no earlier output'), (model, [], PAGE_MARK, 'no earlier'),
            (tmp_path / 'folder', [], PAGE_MARK, 'is no file')):
        with pytest.raises(OutputError, match=f'{path}.* {reason}'):
            claim_file(path, given, mark)
    claim_file(model, [tmp_path / 'other.onnx'], MODEL_MARK)
    claim_file(tmp_path / 'new.html', [], PAGE_MARK)
    claim_file(tmp_path / 'empty', [], PAGE_MARK)
    claim_file(None, [], PAGE_MARK)
    assert snapshot(tmp_path) == before


def test_each_kind_of_output_can_be_replaced(tmp_path: Path) -> None:
    (tmp_path / 'chart.svg').write_text(curve('Loss', []))
    claim_file(tmp_path / 'chart.svg', [], PICTURE_MARK)
    base = Path(offline.__file__).with_name('base.html.j2')
    claim_file(base, [], PAGE_MARK)


@pytest.mark.parametrize(('main', 'arguments'), [
    (bench_main, ['model.onnx', '--json', 'notes.json']),
    (bench_main, ['model.onnx', '--plot', 'drawing.svg']),
    (bench_main, ['model.onnx', '--json', 'model.onnx']),
    (bench_main, ['drawing.svg', '--against', 'model.onnx', '--json', './model.onnx']),
    (evaluate_main, ['--compare', 'old', 'new', '--output', 'notes.json']),
    (evaluate_main, ['--compare', 'old', 'new', '--output', 'old'])])
def test_a_command_writes_over_no_file_of_the_users(
        main: Callable[[], int], arguments: list[str], tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    shutil.copy(default_model(), tmp_path / 'model.onnx')
    (tmp_path / 'notes.json').write_text('{"mine": true}')
    (tmp_path / 'drawing.svg').write_text('<svg xmlns="http://www.w3.org/2000/svg"/>')
    (tmp_path / 'old').mkdir()
    before = snapshot(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr('sys.argv', ['command', *arguments])
    assert main() == 1
    errors = capsys.readouterr().err
    assert arguments[-1].removeprefix('./') in errors and errors.count('\n') == 1
    assert snapshot(tmp_path) == before
