# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Every command has a version, one line for a usage error, and an orderly end; launch files."""

from collections.abc import Iterator
from contextlib import contextmanager
import os
from pathlib import Path
import signal
import subprocess
import sys

import pytest
from segret_ros.command_line import refuse_unknown_arguments
from segret_ros.files.share import package_version

COMMANDS = [('segret_ros.command_line', name) for name in (
    'bench', 'check_contract', 'demo', 'engine', 'evaluate', 'node')] + [
    ('segret_train.commands', name) for name in ('export', 'train', 'validate')]
# Runs with the arguments of its command line, each list of words in turn.
IN_TURNS = """
from importlib import import_module
import sys
module, name, *words = sys.argv[1:]
for word in words:
    sys.argv = ['segret_' + name, word]
    try:
        code = getattr(import_module(module), name)()
    except SystemExit as ended:
        code = ended.code
    print(code, flush=True)
"""
# A command whose loading or main waits for its end, once it has said that it is there.
WAITING = """
import sys, time
from segret_ros.command_line import run_command

def wait():
    try:
        print('ready', flush=True)
        time.sleep(60)
    finally:
        print('undone', flush=True)

def load():
    if sys.argv[1] == 'loading':
        wait()
    return wait

stopped = int(sys.argv[2]) if sys.argv[2:] else None
sys.exit(run_command('segret_test', load, stopped))
"""


def test_a_file_name_that_is_no_text_can_be_printed() -> None:
    code = ('import os; from segret_ros.command_line import run_command; '
            "run_command('segret_test', lambda: lambda: print(os.fsdecode(b'stra\\xdfe')))")
    ran = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True,
                         env={**os.environ, 'PYTHONIOENCODING': 'utf-8:strict'})
    assert (ran.stdout, ran.stderr) == ('stra\\udcdfe\n', '')


@pytest.mark.parametrize(('module', 'name'), COMMANDS)
def test_a_command_reports_its_version_and_a_wrong_option(module: str, name: str) -> None:
    if module == 'segret_train.commands':
        pytest.importorskip('torch', reason='training needs torch')
    elif name in ('demo', 'node'):
        pytest.importorskip('rclpy', reason='needs ROS 2')
    ran = subprocess.run([sys.executable, '-c', IN_TURNS, module, name, '--version',
                          '--nonsense'], capture_output=True, text=True)
    assert ran.stdout.split('\n')[0] == f'segret_{name} {package_version()}'
    assert ran.stdout.splitlines()[1:] == ['0', '1']
    line, = ran.stderr.splitlines()
    assert line.startswith(f'segret_{name}: ')


@contextmanager
def running(*command: str) -> Iterator[subprocess.Popen]:
    """Run Python; it has ended afterwards."""
    with subprocess.Popen([sys.executable, *command], stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize(('number', 'words', 'code', 'output', 'errors'), [
    (signal.SIGINT, ['main'], 130, 'undone\n', '\nsegret_test: interrupted\n'),
    (signal.SIGTERM, ['main'], 143, 'undone\n', ''),
    (signal.SIGINT, ['loading'], 130, '', ''),
    (signal.SIGTERM, ['loading'], 143, '', ''),
    (signal.SIGINT, ['loading', '0'], 0, '', ''),
    (signal.SIGTERM, ['loading', '0'], 0, '', ''),
])
def test_a_signal_ends_a_command_without_a_traceback(
        number: int, words: list[str], code: int, output: str, errors: str) -> None:
    with running('-c', WAITING, *words) as process:
        assert process.stdout.readline() == 'ready\n'
        process.send_signal(number)
        assert process.communicate() == (output, errors)
        assert process.returncode == code


def test_a_reader_that_left_is_no_error() -> None:
    code = """
from segret_ros.command_line import run_command
raise SystemExit(run_command('segret_test', lambda: lambda: print('x' * 10 ** 6)))
"""
    reading, writing = os.pipe()
    os.close(reading)
    ran = subprocess.run([sys.executable, '-c', code], stdout=writing, stderr=subprocess.PIPE)
    os.close(writing)
    assert (ran.returncode, ran.stderr) == (1, b'')


def test_ctrl_c_in_a_measurement() -> None:
    with running('-c', 'from segret_ros.command_line import bench; raise SystemExit(bench())',
                 '--runs', '100000') as process:
        wait_for_bar('measure', process)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate()
    assert process.returncode == 130
    assert errors.endswith('\nsegret_bench: interrupted\n') and 'Traceback' not in errors


@pytest.mark.parametrize(('number', 'code'), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_the_demo_takes_its_node_along(tmp_path: Path, number: int, code: int) -> None:
    pytest.importorskip('rclpy', reason='the demo needs rclpy')
    with running('-c', 'from segret_ros.command_line import demo; raise SystemExit(demo())',
                 '--output', str(tmp_path / 'demo')) as process:
        wait_for_bar('frame', process)
        node, = children(process.pid)
        process.send_signal(number)
        _, errors = process.communicate()
    assert process.returncode == code
    assert 'Traceback' not in errors
    assert not Path(f'/proc/{node}').exists()


def wait_for_bar(text: str, process: subprocess.Popen) -> None:
    """Wait until a command shows a progress bar with some text."""
    while text not in (read := process.stderr.readline(40)):
        assert read, f'the command ended before {text}'


def children(process: int) -> list[int]:
    """Return the processes that a process has started."""
    tasks = Path(f'/proc/{process}/task').glob('*/children')
    return [int(child) for task in tasks for child in task.read_text().split()]


def refuse(monkeypatch: pytest.MonkeyPatch, *words: str) -> None:
    """Check the arguments of a command line of `ros2 launch`; test_launch.py has it for real."""
    monkeypatch.setattr(sys, 'argv', ['/bin/ros2', 'launch', *words])
    refuse_unknown_arguments('/somewhere/segret.launch.py', ['image', 'model'])


@pytest.mark.parametrize('words', [
    ['segret_ros', 'segret.launch.py'],
    ['segret_ros', 'segret.launch.py', 'image:=/a:=b', 'model:='],
    ['launch/segret.launch.py', '--debug', 'model:=x'],
    ['robot', 'robot.launch.py', 'robot:=1']])  # which includes this one
def test_declared_launch_arguments_pass(monkeypatch: pytest.MonkeyPatch, words: list[str]) -> None:
    refuse(monkeypatch, *words)


@pytest.mark.parametrize('word, message', [
    ('immage:=/x', 'immage:= is no argument of segret.launch.py: did you mean image:=?'),
    ('speed:=1', 'speed:= is no argument of segret.launch.py: there are image, model')])
def test_other_launch_arguments_are_refused(monkeypatch: pytest.MonkeyPatch, word: str,
                                            message: str) -> None:
    with pytest.raises(ValueError) as raised:
        refuse(monkeypatch, './segret.launch.py', 'model:=x', word)
    assert str(raised.value) == message
