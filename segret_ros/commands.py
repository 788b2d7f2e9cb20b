# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""The commands, which tell in one line what is not installed."""

from importlib import import_module
import sys

from segret_ros.command_line import FAILED, run_command
from segret_ros.errors import NO_ONNXRUNTIME, remedy


def node() -> int:
    """Run segret_node; give its exit code."""
    return run('segret_node', 'segret_ros.node.program', 'ros', stopped=0)


def bench() -> int:
    """Run segret_bench; give its exit code."""
    return run('segret_bench', 'segret_ros.offline.bench', 'demo')


def check_contract() -> int:
    """Run segret_check_contract; give its exit code."""
    return run('segret_check_contract', 'segret_ros.offline.contract.main', 'ros')


def demo() -> int:
    """Run segret_demo; give its exit code."""
    return run('segret_demo', 'segret_ros.offline.demo.main', 'demo')


def engine() -> int:
    """Run segret_engine; give its exit code."""
    return run('segret_engine', 'segret_ros.inference.serving.command', 'evaluate')


def evaluate() -> int:
    """Run segret_evaluate; give its exit code."""
    return run('segret_evaluate', 'segret_ros.offline.evaluation.main', 'evaluate')


def label() -> int:
    """Run segret_label and return its exit code."""
    return run('segret_label', 'segret_ros.offline.label', 'evaluate')


def run(name: str, module: str, extra: str, stopped: int | None = None) -> int:
    """
    Run a command and return its exit code.

    :param name: of the command.
    :param module: that has its `main`, and may need packages that others do not.
    :param extra: of this package, which brings them.
    :param stopped: see `run_command`.
    """
    try:
        return run_command(name, lambda: import_module(module).main, stopped)
    except ModuleNotFoundError as error:
        reason = NO_ONNXRUNTIME if error.name == 'onnxruntime' else (
            f'needs the package {error.name}, which is not installed: {remedy(extra)}')
    except ImportError as error:  # as of an ONNX Runtime in parts
        reason = str(error)
    print(f'{name}: {reason}', file=sys.stderr)
    return FAILED
