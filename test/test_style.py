# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Style: ruff, mypy, ament's linters where they are installed, and what none of them checks."""

from collections import Counter
from pathlib import Path
import subprocess
import sys

import pytest

ROOT = Path(__file__).parents[1]
PATHS = ['segret_ros', 'segret_train', 'test', 'tools', 'launch', 'setup.py']
HEADER = '# Copyright 2026 The segret_ros developers\n# SPDX-License-Identifier: Apache-2.0\n\n'


def check(module: str, *arguments: str) -> None:
    """Run a linter at the top of the source tree."""
    ran = subprocess.run([sys.executable, '-m', module, *arguments], cwd=ROOT,
                         capture_output=True, text=True)
    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_ruff() -> None:
    pytest.importorskip('ruff', reason='comes with the extra test')
    check('ruff', 'check')


@pytest.mark.skipif(sys.version_info < (3, 11), reason='other types in the libraries for 3.10')
def test_mypy() -> None:
    for module in ('jsonargparse', 'mypy', 'onnxruntime', 'openvino', 'rclpy', 'rosbags', 'torch'):
        pytest.importorskip(module, reason='types are checked with all of `make develop`')
    check('mypy')


@pytest.mark.parametrize('linter, paths', [
    ('ament_copyright', PATHS), ('ament_flake8', PATHS), ('ament_pep257', PATHS),
    ('ament_xmllint', ['config'])])  # package.xml's schema would come from the network
def test_ament(linter: str, paths: list[str]) -> None:
    pytest.importorskip(f'{linter}.main', reason='comes with a ROS 2 installation')
    check(f'{linter}.main', *paths)


def test_each_source_file_names_its_copyright_and_licence() -> None:
    files = [file for path in PATHS for file in (ROOT / path).rglob('*.py')] + [ROOT / 'setup.py']
    assert [str(file) for file in files if not file.read_text().startswith(HEADER)] == []


def test_no_two_files_of_tests_have_one_name() -> None:
    """Without __init__.py in their folders they could not be collected together."""
    names = Counter(path.name for path in (ROOT / 'test').rglob('*.py'))
    assert {name for name, count in names.items() if count > 1} == {'conftest.py'}
