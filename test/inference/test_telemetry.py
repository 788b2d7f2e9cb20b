# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""No process looks up a host or leaves files in the home folder, but for the engine cache."""

from importlib.util import find_spec
from pathlib import Path
import subprocess
import sys

import pytest
from segret_ros.files.share import default_model, share_directory

DRIVE = share_directory() / 'data' / 'sample_drive'
ENGINES = Path('.cache/segret_ros/engines')
LABEL = """
import sys
import numpy as np
from segret_ros.inference import Segmenter
Segmenter(sys.argv[1], device=sys.argv[2])(np.zeros((36, 48, 3), np.uint8))
"""


def needs(module: str) -> None:
    """Skip without a module, and don't import it here."""
    if find_spec(module) is None:
        pytest.skip(f'needs {module}')


def run(*arguments: object) -> str:
    return subprocess.run([sys.executable, *map(str, arguments)], check=True, text=True,
                          capture_output=True).stdout


@pytest.mark.parametrize(('device', 'module'), [
    ('cpu', 'onnxruntime'), ('openvino', 'openvino'), ('torch:cpu', 'torch')])
def test_an_engine_leaves_no_trace(home, device: str, module: str) -> None:
    needs(module)
    run('-c', LABEL, default_model(), device)
    assert home.lookups() == home.files() == []


def test_the_commands_leave_their_output_alone(home, model_file: Path, tmp_path: Path) -> None:
    needs('openvino')  # its engines are kept
    run('-m', 'segret_ros.inference.serving.command', 'build', default_model(), '--device',
        'openvino')
    run('-m', 'segret_ros.offline.bench', model_file, '--device', 'openvino', '--size', 40, 60,
        '--runs', 2, '--against-device', 'cpu')
    run('-m', 'segret_ros.offline.evaluation.main', DRIVE, '--every', 30, '--device', 'cpu',
        '--output', tmp_path / 'result')
    assert home.lookups() == []
    assert home.files() and all(ENGINES in path.parents for path in home.files())


def test_a_telemetry_that_is_asked_for_is_on(home) -> None:
    needs('openvino_telemetry')
    (home.folder / 'intel').mkdir()
    (home.folder / 'intel' / 'openvino_telemetry').write_text('1')
    run('-c', 'import segret_ros.inference.engines.openvino')
    assert home.lookups() != []


def test_the_process_is_left_as_it_was(home, monkeypatch: pytest.MonkeyPatch) -> None:
    needs('openvino')
    code = ('import os, sys; from segret_ros.inference import telemetry; '
            'before = dict(os.environ)\n'
            'with telemetry.switched_off(): import openvino\n'
            'print(dict(os.environ) == before, None in sys.modules.values(), '
            'os.environ["ORT_DISABLE_TELEMETRY"])')
    monkeypatch.setenv('ORT_DISABLE_TELEMETRY', '0')
    assert run('-c', code).split() == ['True', 'False', '0']
