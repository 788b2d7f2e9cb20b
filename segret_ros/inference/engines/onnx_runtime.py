# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""ONNX Runtime for all that need it: new enough, whole, and without its telemetry."""

from importlib.util import find_spec
from pathlib import Path
import re

from segret_ros import missing
from segret_ros.inference import telemetry

OLDEST = (1, 19)  # 1.17 refuses the model files' IR version, 1.18 aborts the process


def check_version() -> None:
    """
    Raise ImportError for an ONNX Runtime that is too old.

    The version is read from the file, since importing one built for NumPy 1 may crash.
    """
    found = find_spec('onnxruntime')
    text = Path(found.origin).read_text(encoding='utf-8') if found and found.origin else ''
    version = re.search(r"^__version__ = ['\"]((\d+)\.(\d+)[^'\"]*)", text, re.MULTILINE)
    if version and (int(version[2]), int(version[3])) < OLDEST:
        raise ImportError(f'ONNX Runtime {version[1]} is too old for the model files: '
                          f'{missing.INSTALL_ONNXRUNTIME}')


try:
    check_version()
    with telemetry.switched_off():
        import onnxruntime
except ModuleNotFoundError as error:
    raise ImportError(missing.ONNXRUNTIME, name='onnxruntime') from error

if not hasattr(onnxruntime, 'InferenceSession'):
    raise ImportError('onnxruntime is installed in parts, as happens where one of onnxruntime and '
                      'onnxruntime-gpu is removed: pip uninstall -y onnxruntime onnxruntime-gpu, '
                      'then pip install the one that you want')

# `from onnxruntime import` elsewhere might be the first import of it.
GraphOptimizationLevel = onnxruntime.GraphOptimizationLevel
InferenceSession = onnxruntime.InferenceSession
OrtValue = onnxruntime.OrtValue
SessionOptions = onnxruntime.SessionOptions
