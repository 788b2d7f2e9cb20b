# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Who imports what: the runtime works without torch, the library without ROS."""

import ast
from pathlib import Path
import subprocess
import sys

import pytest

ROOT = Path(__file__).parents[1]
ROS = {'rclpy', 'sensor_msgs', 'std_msgs', 'diagnostic_msgs', 'lifecycle_msgs',
       'vision_msgs', 'rcl_interfaces', 'rosgraph_msgs', 'launch', 'launch_ros'}
# Not on every distribution, in rclpy's sources from Humble to Lyrical.
DIFFERENT = ('rclpy.event_handler.', 'rclpy.qos_event.', 'rclpy.endpoint_info.',
             'rclpy.topic_endpoint_info.')
# Loaded only for a device `torch`; it reads the weights out of the model file.
TORCH_ENGINE = 'segret_ros/inference/engines/pytorch.py'
ON_A_GPU = 'segret_ros/inference/engines/fused.py', 'segret_ros/inference/engines/kernels.py'


def imports_of(path: Path) -> set[str]:
    """Return the dotted names that a file imports, anywhere in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f'{path}: imports are absolute'
            found |= {f'{node.module}.{alias.name}' for alias in node.names}
    return found


def importers(names: set[str]) -> set[str]:
    """Return the files, relative to the source tree, that import one of some packages."""
    files = [*ROOT.glob('segret_ros/**/*.py'), *ROOT.glob('segret_train/**/*.py')]
    assert len(files) > 20
    return {str(path.relative_to(ROOT)) for path in files
            if names & {name.split('.')[0] for name in imports_of(path)}}


def outside(files: set[str], *folders: str) -> set[str]:
    """Return the files outside of some folders."""
    return {file for file in files if not file.startswith(folders)}


def test_only_the_node_and_the_demo_import_ros() -> None:
    assert importers(ROS)
    assert not outside(importers(ROS), 'segret_ros/node/', 'segret_ros/offline/demo/',
                       'segret_ros/offline/player.py', 'segret_ros/offline/node_process.py',
                       'segret_ros/offline/contract/live.py')


def test_what_distributions_name_differently_is_imported_in_one_place() -> None:
    files = {str(path.relative_to(ROOT)) for path in ROOT.glob('segret_ros/**/*.py')
             if any(name.startswith(DIFFERENT) for name in imports_of(path))}
    assert files == {'segret_ros/node/distribution.py'}


def test_only_the_network_its_engine_and_the_training_import_torch() -> None:
    assert importers({'torch'})
    assert not outside(importers({'torch'}), 'segret_ros/network/', 'segret_train/', TORCH_ENGINE,
                       *ON_A_GPU)


def test_libraries_that_report_their_use_are_imported_in_one_place_each() -> None:
    assert importers({'onnxruntime'}) == {'segret_ros/inference/engines/onnx_runtime.py'}
    assert importers({'openvino'}) == {'segret_ros/inference/engines/openvino.py'}


def test_the_library_that_draws_is_imported_in_one_place() -> None:
    """There it is kept from writing into the home folder."""
    assert importers({'matplotlib'}) == {'segret_ros/offline/charts.py'}


def test_the_runtime_never_imports_the_training() -> None:
    assert importers({'segret_train'})
    assert not outside(importers({'segret_train'}), 'segret_train/')


def test_the_runtime_never_imports_onnx_but_for_torch() -> None:
    assert not outside(importers({'onnx', 'onnxscript'}), 'segret_train/', TORCH_ENGINE)


@pytest.mark.parametrize(('module', 'absent'), [
    ('segret_ros.inference', {'torch', 'rclpy', 'segret_train', 'onnx', 'openvino', 'matplotlib'}),
    ('segret_ros.offline.label', {'torch', 'rclpy', 'matplotlib', 'segret_train'}),
    ('segret_ros.network', {'rclpy', 'onnxruntime', 'cv2', 'segret_train'}),
    ('segret_ros.offline.bench', {'torch', 'rclpy', 'openvino', 'segret_train', 'onnx',
                                  'matplotlib'}),
    ('segret_ros.offline.contract.main', {'torch', 'rclpy', 'rosbags', 'onnxruntime'}),
    ('segret_ros.labels.metrics', {'torch', 'rclpy', 'onnxruntime', 'cv2'}),
    ('segret_ros.labels.visualization', {'torch', 'rclpy', 'onnxruntime'}),
    ('segret_train.train', {'rclpy', 'onnx'}),
    ('segret_ros.offline.demo.main', {'torch', 'segret_train', 'matplotlib'}),
])
def test_importing_a_module_loads_no_more(module: str, absent: set[str]) -> None:
    if 'torch' not in absent:
        pytest.importorskip('torch')
    code = f'import sys, {module}; print(*({absent!r} & sys.modules.keys()))'
    ran = subprocess.run([sys.executable, '-c', code], check=True, capture_output=True, text=True,
                         cwd=ROOT)
    assert ran.stdout.split() == []
