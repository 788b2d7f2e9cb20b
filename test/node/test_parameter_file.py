# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Parameter files: whole numbers, single names and empty lists are taken as they are meant."""

from pathlib import Path

from node_process import NodeProcess, Peer
from rcl_interfaces.srv import GetParameters
from rclpy.parameter import Parameter, parameter_value_to_python

FILE = """
/**:
  ros__parameters:
    overlay_alpha: 1
    camera_timeout: 3
    cameras: roof
    priorities: []
    autostart: false
"""
TAKEN = {'overlay_alpha': 1.0, 'camera_timeout': 3.0, 'cameras': ['roof'], 'priorities': []}
DOUBLE, TEXTS = Parameter.Type.DOUBLE.value, Parameter.Type.STRING_ARRAY.value


def test_values_are_taken_in_the_declared_type(peer: Peer, tmp_path: Path) -> None:
    file = tmp_path / 'own.yaml'
    file.write_text(FILE)
    node = NodeProcess(tmp_path, ['--ros-args', '--params-file', str(file)])
    try:
        values = peer.call(GetParameters, 'get_parameters',
                           GetParameters.Request(names=list(TAKEN))).values
        assert dict(zip(TAKEN, map(parameter_value_to_python, values))) == TAKEN
        assert [value.type for value in values] == [DOUBLE, DOUBLE, TEXTS, TEXTS]
    finally:
        node.end()
