# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""Python in a process of its own, where a package is not installed."""

import subprocess
import sys

CODE = """
import sys

class Missing:
    def find_spec(self, name, path, target=None):
        if name == {package!r}:
            raise ModuleNotFoundError(f'No module named {{name!r}}', name=name)

sys.meta_path.insert(0, Missing())
"""


def run_without(package: str, code: str, *arguments: str) -> subprocess.CompletedProcess:
    """Run code that finds every package but one; its `sys` is imported."""
    return subprocess.run([sys.executable, '-c', CODE.format(package=package) + code, *arguments],
                          capture_output=True, text=True)


def run_command_without(package: str, module: str, command: str,
                        *arguments: str) -> subprocess.CompletedProcess:
    """Run a command, a function of a module, without a package."""
    return run_without(package, f'from {module} import {command}; sys.exit({command}())',
                       *arguments)
