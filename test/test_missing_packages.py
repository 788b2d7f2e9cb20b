# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Without a package of an extra a command names all that the extra brings, in one line."""

import shlex

import pytest
from segret_ros import missing
from without_package import run_command_without

BAGS = {'Jinja2', 'tqdm', 'lz4', 'rosbags>=0.11'}


@pytest.mark.parametrize('command, module', [
    ('label', 'tqdm'), ('bench', 'tqdm'), ('evaluate', 'jinja2'), ('evaluate', 'rosbags'),
    ('demo', 'jinja2')])
def test_a_command_names_its_packages(command: str, module: str) -> None:
    """By their own names: an extra would bring another OpenCV and NumPy beside Debian's."""
    pytest.importorskip('rclpy' if command == 'demo' else 'numpy', reason='needs ROS 2')
    if 'sources' in missing.remedy('demo'):
        pytest.skip('what an extra brings is known to an installed package alone')
    ran = run_command_without(module, 'segret_ros', command, '--device', 'cpu')
    assert ran.returncode == 1
    line, = ran.stderr.splitlines()
    said, _, packages = line.partition(': pip install ')
    assert said == f'segret_{command}: needs the package {module}, which is not installed'
    named = set(shlex.split(packages))
    assert BAGS < named and all(each.startswith('backports.zstd;') for each in named - BAGS)


def test_a_ros_2_installation_brings_its_own() -> None:
    assert missing.remedy('ros').startswith('source a ROS 2 installation or pip install ')
