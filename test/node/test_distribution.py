# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""What differs between the distributions, as their sources have it, on the one that is here."""

import os
from pathlib import Path
import subprocess
import sys

import pytest
import segret_ros

# Gives a module of the installed rclpy the name that it has, alone, in another distribution.
RENAME = """
import importlib, os, sys
import rclpy.lifecycle
present, other = (f'rclpy.{name}' for name in sys.argv[1:])
sys.modules[other], sys.modules[present] = importlib.import_module(present), None
import segret_ros.node.lifecycle_node
from segret_ros.offline.node_process import isolate
isolate()
print(*sorted(f'{name}={os.environ[name]}' for name in os.environ if name.startswith('ROS_')
              and name.endswith(('ONLY', 'RANGE'))))
"""


@pytest.mark.parametrize(('present', 'other', 'kept_here_by'), [
    pytest.param('event_handler', 'qos_event', 'ROS_LOCALHOST_ONLY=1', id='Humble'),
    pytest.param('topic_endpoint_info', 'endpoint_info', 'ROS_AUTOMATIC_DISCOVERY_RANGE=LOCALHOST',
                 id='Lyrical'),
])
def test_the_node_finds_rclpy_s_modules_by_each_distribution_s_names(
        present: str, other: str, kept_here_by: str) -> None:
    environment = {name: value for name, value in os.environ.items()
                   if name not in ('ROS_LOCALHOST_ONLY', 'ROS_AUTOMATIC_DISCOVERY_RANGE')}
    environment['PYTHONPATH'] = str(Path(segret_ros.__file__).parents[1])
    ran = subprocess.run([sys.executable, '-c', RENAME, present, other], env=environment,
                         capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.split() == [kept_here_by]
