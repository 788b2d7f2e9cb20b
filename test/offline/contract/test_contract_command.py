# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""The command's report, exit code and one line on a mistake."""

from pathlib import Path
import subprocess
import sys

from label_bags import LABEL, LABEL_INFO, sound_drive
import pytest
from segret_ros.offline.contract import main
from segret_ros.offline.contract.observation import TopicNames


def run(monkeypatch: pytest.MonkeyPatch, *words: object) -> int:
    monkeypatch.setattr(sys, 'argv', ['segret_check_contract', *map(str, words)])
    return main.main()


@pytest.mark.parametrize('topic', [['--prefix', 'front'], ['--prefix', '/front/'],
                                   ['--label-topic', LABEL]])
def test_a_sound_bag_exits_with_0(tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
                                  capsys: pytest.CaptureFixture, topic: list[str]) -> None:
    bag = sound_drive().write(tmp_path / 'bag')
    assert run(monkeypatch, '--bag', bag, *topic) == 0
    lines = capsys.readouterr().out.splitlines()
    assert all(line.startswith('ok ') for line in lines[:-1])
    assert lines[-1] == 'nav2 is satisfied: 0 errors, 0 warnings'


def test_an_error_exits_with_2(tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
                               capsys: pytest.CaptureFixture) -> None:
    drive = sound_drive()
    del drive.messages[LABEL_INFO]
    bag = drive.write(tmp_path / 'bag')
    assert run(monkeypatch, '--bag', bag, '--prefix', 'front') == 2
    lines = capsys.readouterr().out.splitlines()
    assert lines[-2].split()[:2] == ['error', LABEL_INFO]
    assert lines[-1] == 'nav2 is not satisfied: 1 error, 0 warnings'
    assert run(monkeypatch, '--bag', bag, '--prefix', 'front', '--consumer', 'mono8') == 0


def test_the_only_label_topic_of_a_bag_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
                                                capsys: pytest.CaptureFixture) -> None:
    bag = sound_drive().write(tmp_path / 'bag')
    for words in ([], ['--camera-topic', 'image']):
        assert run(monkeypatch, '--bag', bag, *words) == 0
        assert f'ok {LABEL} ' in ' '.join(capsys.readouterr().out.split())


@pytest.mark.parametrize('words', [[], ['--prefix', 'middle']])
def test_the_existing_label_topics_are_listed(tmp_path: Path, words: list[str],
                                              monkeypatch: pytest.MonkeyPatch,
                                              capsys: pytest.CaptureFixture) -> None:
    drive = sound_drive()
    rear = LABEL.replace('front', 'rear')
    drive.messages[rear] = drive.messages[LABEL]
    bag = drive.write(tmp_path / 'bag')
    assert run(monkeypatch, '--bag', bag, *words) == 2
    assert f'name one of {LABEL}, {rear} with --label-topic' in capsys.readouterr().out


@pytest.mark.parametrize(('words', 'text'), [
    (['--bag', 'nowhere'], 'nowhere: no such bag'),
    (['--bag', __file__], f'{__file__}: no bag: it begins neither'),
    (['--label-topic', 'label'], "label topic 'label' is in no namespace"),
    (['--seconds', '0'], '--seconds is 0: listen for longer than 0'),
    (['--seconds', 'nan'], '--seconds is nan: listen for longer than 0')])
def test_a_mistake_is_reported_in_one_line(monkeypatch: pytest.MonkeyPatch,
                                           capsys: pytest.CaptureFixture, words: list[str],
                                           text: str) -> None:
    assert run(monkeypatch, *words) == 1
    line, = capsys.readouterr().err.splitlines()
    assert line.startswith(f'segret_check_contract: {text}')


@pytest.mark.parametrize(('words', 'module', 'text'), [
    (['--bag', __file__], 'rosbags', 'pip install '),
    (['--seconds', '1'], 'rclpy', "pip install 'segret_ros[ros]'")])
def test_a_missing_package_is_reported_in_one_line(words: list[str], module: str,
                                                   text: str) -> None:
    """In a process of its own, whose import of the module fails as where it is missing."""
    code = (f'import sys; sys.modules[{module!r}] = None; '
            'from segret_ros.offline.contract.main import main; sys.exit(main())')
    ran = subprocess.run([sys.executable, '-c', code, *words], capture_output=True, text=True)
    assert ran.returncode == 1
    line, = ran.stderr.splitlines()
    assert module in line and text in line


def test_the_topics_are_those_beside_the_label() -> None:
    names = TopicNames.of('/robot/front/segmentation/label')
    assert names.label_info == '/robot/front/segmentation/label_info'
    assert names.camera[0] == '/robot/front/image'
    assert TopicNames.of('segmentation/label', '/camera/image_raw') == TopicNames(
        '/segmentation/label', '/segmentation/confidence', '/segmentation/label_info',
        ('/camera/image_raw',))
