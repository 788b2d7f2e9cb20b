# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""ONNX Runtime and its sessions: new enough, complete, and without its telemetry."""

from importlib.util import find_spec
from pathlib import Path
import re

from segret_ros.errors import INSTALL_ONNXRUNTIME, NO_ONNXRUNTIME, reason
from segret_ros.inference import telemetry
from segret_ros.inference.model_info import HOW_TO_MAKE, ModelError

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
                          f'{INSTALL_ONNXRUNTIME}')


try:
    check_version()
    with telemetry.switched_off():
        import onnxruntime
        from onnxruntime import (
            GraphOptimizationLevel,
            InferenceSession,
            OrtValue,
            SessionOptions,
        )
except ModuleNotFoundError as error:
    raise ImportError(NO_ONNXRUNTIME, name='onnxruntime') from error
except ImportError as error:
    if error.name != 'onnxruntime':
        raise
    raise ImportError('the onnxruntime installation is broken, as happens where one of '
                      'onnxruntime and onnxruntime-gpu is removed: pip uninstall -y onnxruntime '
                      'onnxruntime-gpu, then pip install the one that you want') from error

__all__ = ['CPU', 'GraphOptimizationLevel', 'InferenceSession', 'NAME', 'open_session', 'OrtValue',
           'Providers', 'session_options', 'SessionOptions', 'onnxruntime']

CPU = 'CPUExecutionProvider'
Providers = list[tuple[str, dict[str, str]]]
NAME = f"ONNX Runtime {'.'.join(onnxruntime.__version__.split('.')[:2])}"


def session_options() -> SessionOptions:
    """Return the options of a session that logs errors alone."""
    options = SessionOptions()
    options.log_severity_level = 3
    return options


def open_session(path: str | Path, options: SessionOptions, providers: Providers,
                 content: bytes | None = None) -> InferenceSession:
    """
    Open a session of an ONNX file on these providers and no others.

    :param content: of the file, where it has been read already.
    :raises ModelError: for a file that ONNX Runtime can't load; its cause is the first error.
    """
    try:
        # Up to 1.22 it ignores enable_fallback: it prints the error and tries other providers.
        return InferenceSession(str(path) if content is None else content, options,
                                providers=providers, enable_fallback=0)
    except Exception as error:  # ONNX Runtime has a type of its own for each kind of failure
        first = error.__cause__ or error  # where the others failed too
        raise ModelError(f"{path}: ONNX Runtime can't load it ({reason(first)}); {HOW_TO_MAKE}"
                         ) from first
