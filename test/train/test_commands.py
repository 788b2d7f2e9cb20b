# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""The commands where the packages that training needs are missing."""

import pytest
from without_package import run_command_without


@pytest.mark.parametrize('command', ['export', 'train', 'validate'])
@pytest.mark.parametrize('missing', ['torch', 'safetensors'])
def test_a_missing_package_is_named_in_one_line(command: str, missing: str) -> None:
    ran = run_command_without(missing, 'segret_train.commands', command, '--help')
    assert ran.returncode == 1 and not ran.stdout
    line, = ran.stderr.splitlines()
    assert line.startswith(f'segret_{command}: needs the package {missing}, which is not '
                           'installed: pip install ')
    assert "'torch>=2.6'" in line and 'safetensors' in line
