# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""The commands where the packages that training needs are missing."""

import subprocess
import sys

import pytest


@pytest.mark.parametrize('command', ['export', 'train', 'validate'])
@pytest.mark.parametrize('missing', ['torch', 'safetensors'])
def test_a_missing_package_is_told_in_one_line(command: str, missing: str) -> None:
    code = f"""
import sys

class Missing:
    def find_spec(self, name, path, target=None):
        if name == {missing!r}:
            raise ModuleNotFoundError(f'No module named {{name!r}}', name=name)

sys.meta_path.insert(0, Missing())  # as if it were not installed
from segret_train import commands
sys.exit(commands.{command}())
"""
    ran = subprocess.run([sys.executable, '-c', code, '--help'], capture_output=True, text=True)
    assert ran.returncode == 1 and not ran.stdout
    line, = ran.stderr.splitlines()
    assert line.startswith(f'segret_{command}: needs the package {missing}, which is not '
                           'installed: pip install ')
    assert "'torch>=2.6'" in line and 'safetensors' in line
