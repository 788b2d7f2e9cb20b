# Copyright 2026 The segret_ros developers
# SPDX-License-Identifier: Apache-2.0

"""docs/your_own_data.md: its folder, YAML file and check work as written."""

from pathlib import Path
import re
import subprocess
import sys

import pytest

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope='module')
def blocks() -> dict[str, list[str]]:
    """Return the guide's code blocks by language, those without one under ''."""
    found: dict[str, list[str]] = {}
    text = (ROOT / 'docs' / 'your_own_data.md').read_text()
    for language, block in re.findall(r'^```(\w*)\n(.*?)^```', text, re.MULTILINE | re.DOTALL):
        found.setdefault(language, []).append(block)
    return found


def test_the_folder_passes_the_check_as_shown(blocks: dict[str, list[str]],
                                              tmp_path: Path) -> None:
    snippet, = blocks['python']
    subprocess.run([sys.executable, '-c', snippet], cwd=tmp_path, check=True)
    (tmp_path / 'yard.yaml').write_text(*blocks['yaml'])
    command, = (block.split() for block in blocks[''] if '--check-data' in block)
    assert command[0] == 'segret_validate'
    checked = subprocess.run([sys.executable, '-m', 'segret_train.validate', *command[1:]],
                             cwd=tmp_path, capture_output=True, text=True)
    assert checked.returncode == 0, checked.stderr
    shown, = (block for block in blocks[''] if block.startswith('Yard, train'))
    assert checked.stdout.startswith(shown)
    assert 'Yard, val: 2 images' in checked.stdout
