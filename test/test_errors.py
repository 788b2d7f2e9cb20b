# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Errors in one line: why something failed, and how to install the package that is missing."""

from pathlib import Path
import shlex
import subprocess
import sys

import pytest
from segret_ros.errors import reason, remedy
from without_package import run_command_without, run_without

ON_A_PC = "import platform; platform.machine = lambda: 'x86_64'\n"
INSTALL = ("pip install 'onnxruntime>=1.19', or for an NVIDIA GPU "
           "pip install 'onnxruntime-gpu[cuda,cudnn]>=1.19'")
REMEDY = f'ONNX Runtime is not installed: {INSTALL}'
BAGS = {'Jinja2', 'matplotlib>=3.5.1', 'tqdm', 'lz4', 'rosbags>=0.11'}


@pytest.mark.parametrize(('error', 'line'), [
    (RuntimeError('one\ntwo'), 'one'), (RuntimeError('\n\n  two \nthree'), 'two'),
    (RuntimeError(), 'RuntimeError'), (RuntimeError(' \n'), 'RuntimeError'),
    (RuntimeError('no node, at /src/node.cpp:5, at ./rcl/node.c:261'), 'no node'),
    (RuntimeError('at line 1\n, at /src/parse.c:835, at b.c:4'), 'at line 1'),
    (KeyError('classes'), "'classes'"), (KeyboardInterrupt(), 'KeyboardInterrupt'),
])
def test_the_reason_is_the_first_line_or_the_type(error: BaseException, line: str) -> None:
    assert reason(error) == line


@pytest.mark.parametrize('command, module', [
    ('label', 'tqdm'), ('bench', 'tqdm'), ('evaluate', 'jinja2'), ('evaluate', 'rosbags'),
    ('demo', 'jinja2')])
def test_a_command_names_its_packages(command: str, module: str) -> None:
    """By their own names: an extra would bring another OpenCV and NumPy beside Debian's."""
    pytest.importorskip('rclpy' if command == 'demo' else 'numpy', reason='needs ROS 2')
    if 'sources' in remedy('demo'):
        pytest.skip('what an extra brings is known to an installed package alone')
    ran = run_command_without(module, 'segret_ros.command_line', command, '--device', 'cpu')
    assert ran.returncode == 1
    line, = ran.stderr.splitlines()
    said, _, packages = line.partition(': pip install ')
    assert said == f'segret_{command}: needs the package {module}, which is not installed'
    named = set(shlex.split(packages))
    assert BAGS < named and all(each.startswith('backports.zstd;') for each in named - BAGS)


def test_a_ros_2_installation_brings_its_own() -> None:
    assert remedy('ros').startswith('source a ROS 2 installation or pip install ')


def run(code: str, *arguments: str) -> subprocess.CompletedProcess:
    """Run Python where ONNX Runtime is missing."""
    return run_without('onnxruntime', ON_A_PC + code, *arguments)


@pytest.mark.parametrize('module, command', [
    *(('segret_ros.command_line', command)
      for command in ('node', 'bench', 'demo', 'engine', 'evaluate')),
    ('segret_train.commands', 'export'), ('segret_train.commands', 'validate')])
def test_a_command_says_what_to_install(module: str, command: str) -> None:
    pytest.importorskip({'node': 'rclpy', 'export': 'onnx'}.get(command, 'numpy'))
    ran = run(f'from {module} import {command}; sys.exit({command}())', '--help')
    assert ran.returncode == 1 and not ran.stdout
    assert ran.stderr == f'segret_{command}: {REMEDY}\n'


def test_the_library_says_what_to_install() -> None:
    ran = run('import segret_ros.inference')
    assert ran.stderr.splitlines()[-1] == f'ImportError: {REMEDY}'


def test_a_jetson_has_its_own_wheel() -> None:
    code = "platform.machine = lambda: 'aarch64'; import segret_ros.inference"
    assert run(code).stderr.splitlines()[-1] == (
        "ImportError: ONNX Runtime is not installed: pip install 'onnxruntime>=1.19', or for a "
        'Jetson the wheel that docs/jetson.md names')


@pytest.mark.parametrize('version, refused', [
    ('1.17.3', True), ('1.18.1', True), ('1.9.0', True), ('1.19.0', False), ('2.0.0rc1', False)])
def test_an_onnxruntime_that_is_too_old_is_refused(
        tmp_path: Path, version: str, refused: bool) -> None:
    """Without importing it: one built for NumPy 1 may end the process."""
    package = tmp_path / 'onnxruntime'
    package.mkdir()
    lines = [f'__version__ = {version!r}', "import sys; sys.exit('imported')"]
    (package / '__init__.py').write_text('\n'.join(lines))
    code = f'import sys; sys.path.insert(0, {str(tmp_path)!r}); import segret_ros.inference'
    ran = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True)
    assert ran.returncode == 1
    assert ran.stderr.splitlines()[-1] == ('imported' if not refused else (
        f'ImportError: ONNX Runtime {version} is too old for the model files: {INSTALL}'))
